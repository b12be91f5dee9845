"""``inspect``: what LoRA files are, without a model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "say what LoRA files are, without loading a model"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loras", nargs="+", metavar="LORA", help="files, folders or patterns")
    parser.add_argument("--details", action="store_true", help="everything of each file, not a line each")
    parser.add_argument("--json", action="store_true", help="for machines: everything, each layer too")


def run(options: argparse.Namespace) -> int:
    from lora_checks.lora import inspection, inspection_text

    found = inspection.inspect_all(options.loras, Path())
    if options.json:
        print(json.dumps(inspection.as_json(found), indent=1, default=str, allow_nan=False))
    elif len(found) == 1 or options.details:
        print(inspection_text.blocks(found))
    else:
        print(inspection_text.table(found))
    return int(any(one.error for one in found))
