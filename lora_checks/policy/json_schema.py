"""The JSON Schemas of thresholds.yaml and prompts.yaml, for editors and other programs.

A file that a schema refuses, the reader refuses too, with its line. The reader also refuses what no schema
can say, such as a prompt without the trigger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.policy.keys import Keys
from lora_checks.policy.prompts_keys import PROMPTS
from lora_checks.policy.thresholds_keys import THRESHOLDS

FILES: Mapping[str, Keys] = {"thresholds": THRESHOLDS, "prompts": PROMPTS}
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(file: str) -> dict[str, Any]:
    """Return the JSON Schema of ``thresholds`` or ``prompts``."""
    keys = FILES[file]
    return {"$schema": DIALECT, "title": f"{keys.title} of lora_checks", **keys.schema()}


def write(folder: Path) -> list[Path]:
    """Write ``thresholds.json`` and ``prompts.json``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{file}.json" for file in FILES]
    for path in paths:
        path.write_text(json.dumps(schema(path.stem), indent=2) + "\n", encoding="utf-8")
    return paths
