"""``inspect``: describe LoRA files without loading a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "describe LoRA files without loading a model"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loras", nargs="+", metavar="LORA", help="files, folders or patterns")
    parser.add_argument(
        "--details", action="store_true", help="show everything about each file, not one line each"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, with every layer")


def run(options: argparse.Namespace) -> int:
    from lora_checks.lora import inspection, inspection_text

    inspections = inspection.inspect_all(options.loras, Path())
    if options.json:
        print(json.dumps(inspection.as_json(inspections), indent=1, default=str, allow_nan=False))
    elif len(inspections) == 1 or options.details:
        print(inspection_text.blocks(inspections))
    else:
        print(inspection_text.table(inspections))
    return int(any(item.error for item in inspections))
