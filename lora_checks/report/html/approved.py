"""Prepare ``document["baseline"]`` for the page: each row against the last approved release's."""

from __future__ import annotations

from typing import Any

from lora_checks.core import direction
from lora_checks.core.words import number, printable
from lora_checks.record.shapes import Document
from lora_checks.record.shapes.comparison import Change
from lora_checks.report.html.facts import moment


def context(document: Document) -> dict[str, Any] | None:
    """Return the template's values, or None for a run without ``--lora-baseline``."""
    baseline = document.get("baseline")
    if not baseline:
        return None
    parts = [
        baseline["lora"] and f"{baseline['lora']} {baseline['lora_sha256'][:6]}",
        moment(baseline["finished"]),
    ]
    parts.append(baseline["path"])
    notes = [
        baseline["note"],
        *(f"policy: {text}" for text in baseline["policy_differences"]),
        *baseline["notes"],
    ]
    return {
        "about": printable(", ".join(part for part in parts if part)),
        "notes": [printable(f"{note[:1].upper()}{note[1:]}") for note in notes if note],
        "limited": any(row["outcome"] for row in baseline["rows"]),
        "several": len({row["lora"] for row in baseline["rows"]}) > 1,
        "rows": [_row(row) for row in baseline["rows"]],
    }


def _row(row: Change) -> dict[str, Any]:
    low, high = row["low"], row["high"]
    return {
        "lora": printable(row["lora"]),
        "check": printable(row["check"]),
        "label": printable(row["label"]),
        "outcome": row["outcome"],
        "before": _number(row["before"]),
        "value": _number(row["value"]),
        "difference": _signed(row["difference"]),
        "way": _way(row),
        "interval": "" if low is None or high is None else f"[{_signed(low)}, {_signed(high)}]",
        "allowed": _number(row["allowed"]),
        "words": printable(row["not_compared"] or row["reason"]),
        "prompts": [
            (printable(name), _number(before), _number(now), _signed(difference))
            for name, before, now, difference in row["prompts"]
        ],
    }


def _way(row: Change) -> str:
    """Return "better" or "worse", depending on the metric's direction."""
    difference = row["difference"]
    return direction.word(difference, row["better"]) if difference else ""


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{'+' if value > 0 else ''}{number(value)}"
