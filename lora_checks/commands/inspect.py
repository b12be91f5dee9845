"""``inspect``: describe LoRA files without loading a model."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lora_checks.lora.inspection import Inspected

HELP = "describe LoRA files without loading a model"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loras", nargs="+", metavar="LORA", help="files, folders or patterns")
    parser.add_argument(
        "--details", action="store_true", help="show everything about each file, not one line each"
    )
    parser.add_argument(
        "--base", metavar="DIR", help="pipeline directory: tell also what diffusers loads of each file on it"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON, with every layer")


def run(options: argparse.Namespace) -> int:
    from lora_checks.lora import inspection, inspection_text

    inspections = inspection.inspect_all(options.loras, Path())
    if options.base:
        inspections = [_with_loading(each, Path(options.base)) for each in inspections]
    if options.json:
        print(json.dumps(inspection.as_json(inspections), indent=1, default=str, allow_nan=False))
    elif len(inspections) == 1 or options.details:
        print(inspection_text.blocks(inspections))
    else:
        print(inspection_text.table(inspections))
    return int(any(item.error for item in inspections))


def _with_loading(inspected: Inspected, base: Path) -> Inspected:
    """Add what diffusers loads of a good file. Raises `ConfigError` if the base is no pipeline directory."""
    from lora_checks.core.errors import ConfigError
    from lora_checks.diffusion import loader
    from lora_checks.diffusion.base import INDEXES

    if not any((base / name).is_file() for name in INDEXES):
        raise ConfigError(f"--base {base}: no model_index.json there; name a diffusers pipeline directory")
    if inspected.lora is None:
        return inspected
    loading = loader.of_folder(inspected.lora, base)
    return replace(inspected, loading=asdict(loading) | {"words": loading.words()})
