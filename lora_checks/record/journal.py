"""``verdicts.jsonl``: a run as it goes on, a line at a time; a killed one has lost nothing it reported.

Each line is durable before the next thing is done: first ``{"run": ...}``, what was asked; then
``{"verdict": ...}`` as each falls, and ``{"lora": ...}``, the pictures of a LoRA, once it is measured. Later
runs are appended; the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lora_checks.core.records import Verdict
from lora_checks.record.codec import verdict_from_json

NAME = "verdicts.jsonl"


def read(path: Path) -> tuple[dict[str, Any], list[Verdict]]:
    """The last run of the file: its facts, as `report.build` takes them, and its verdicts so far.

    A line cut off by a crash is left out, and so are those of another run that writes into the same file at
    the same time. The facts are empty where no run has begun.
    """
    run: dict[str, Any] = {}
    process: int | None = None
    found: dict[tuple[str, str], Verdict] = {}
    loras: dict[str, Any] = {}
    for line in _lines(path):
        if "run" in line:
            run, found, loras, process = line["run"], {}, {}, line.get("process")
        elif line.get("process") != process:
            continue
        elif "verdict" in line:
            one = verdict_from_json(line["verdict"])
            found[one.lora, one.check] = one
        elif "lora" in line:
            loras[line["lora"]["name"]] = line["lora"]
    if run:
        run = run | {"loras": [loras.get(lora["name"], lora) for lora in run["loras"]]}
    return run, list(found.values())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
