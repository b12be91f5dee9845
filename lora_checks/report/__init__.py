"""Verdicts -> one JSON document -> everything else. Each renderer reads the document and nothing more.

The document, schema 1::

    {"schema": 1, "outcome": "FAIL",
     "run": {"base": {"model": "...", "digest": "...", "label": "..."},
             "policy": {"directory": "...", "digest": "..."},
             "prompts": 16, "seeds": [0, 1], "device": "cpu", "dtype": "float32", "batch_size": 8,
             "versions": {...}, "networks": {...}, "started": "...", "finished": "...",
             "store": "...", "report": "...", "command": "...",
             "companions": [{"name": "style", "path": "...", "sha256": "...", "scale": 0.7}],
             # of pictures made elsewhere, "elsewhere" in place of base, dtype, batch_size and scale:
             "elsewhere": {"images": "folder", "images_from": "", "baseline_images": "", "caveat": "..."}},
     "loras": [{"name": "overfit", "path": "...", "sha256": "...", "scale": 1.0, "outcome": "FAIL",
                "images": ["folder", ...], "missing": ["check without a verdict", ...],
                "rows": [a verdict's fields, band, direction, margin; worst first]}]}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.errors import StoreError
from lora_checks.files import write_atomically
from lora_checks.records import Verdict
from lora_checks.report import markdown
from lora_checks.report.codec import Row, plain, row, verdict_from_json, verdict_to_json
from lora_checks.report.rows import urgency
from lora_checks.verdict import passed

__all__ = ["build", "row", "verdict_from_json", "verdict_to_json", "write"]

SCHEMA = 1
Document = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


def build(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Document:
    """The document of a run.

    ``run`` is recorded as it is, but for two keys: ``loras``, a list of {"name", "path", "sha256"} in
    the order to report them, and ``required``, the (LoRA name, check) pairs without which nothing passes.
    """
    facts = dict(run)
    required: Pairs = [(lora, check) for lora, check in facts.pop("required")]
    known = {lora["name"]: dict(lora) for lora in facts.pop("loras")}
    for name, sha256 in [(v.lora, v.lora_sha256) for v in verdicts] + [(name, "") for name, _ in required]:
        known.setdefault(name, {"name": name, "path": "", "sha256": sha256})
    document: Document = plain(
        {
            "schema": SCHEMA,
            "outcome": passed(verdicts, required).outcome,
            "run": facts,
            "loras": [_lora(lora, verdicts, required) for lora in known.values()],
        }
    )
    return document


def _lora(lora: Mapping[str, Any], verdicts: Sequence[Verdict], required: Pairs) -> Document:
    own = [v for v in verdicts if v.lora == lora["name"]]
    result = passed(own, [pair for pair in required if pair[0] == lora["name"]])
    rows: list[Row] = sorted((row(v) for v in own), key=urgency)
    return {
        **lora,
        "outcome": result.outcome,
        "images": list(dict.fromkeys(v.images for v in own if v.images)),
        "missing": [check for _, check in result.missing],
        "rows": rows,
    }


def write(document: Mapping[str, Any], directory: Path) -> Path:
    """Writes report.md, then report.json, whose path is returned; a reader never sees half a file."""
    _replace(directory / "report.md", markdown.render(document))
    text = json.dumps(document, indent=1, allow_nan=False)  # ASCII: lone surrogates stay escaped
    return _replace(directory / "report.json", text + "\n")


def _replace(path: Path, text: str) -> Path:
    try:
        write_atomically(path, text.encode())
    except OSError as trouble:
        raise StoreError(
            f"the report {path} could not be written ({trouble.strerror or trouble}): "
            "free the disk or choose another folder with --report"
        ) from trouble
    return path
