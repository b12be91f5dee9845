"""Prepare ``document["ranking"]`` for the page: a leaderboard and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.report import leaderboard

Row = Mapping[str, Any]


def context(document: Row) -> dict[str, Any] | None:
    """Return the leaderboard as text, or None for a run of one LoRA."""
    ranking = document.get("ranking")
    if not ranking:
        return None
    board: Sequence[Row] = ranking["leaderboard"]
    axes = leaderboard.axes(ranking)
    checks = _checks(ranking)
    numbers = {lora["name"]: i for i, lora in enumerate(document["loras"])}
    best = (ranking.get("best") or {}).get("lora")
    return {
        "sentence": printable(ranking["sentence"]),
        "rule": printable(ranking["rule"]),
        "notes": [printable(note) for note in ranking["notes"]],
        "halves": ranking.get("split") is not None,
        "axes": [leaderboard.word(axis) for axis in axes],
        "checks": [printable(check) for check in checks],
        "rows": [_row(row, axes, checks, numbers.get(row["lora"]), row["lora"] == best) for row in board],
    }


def _checks(ranking: Row) -> list[str]:
    """Return the checks that count towards utility; if none do, all that have a value."""
    weighted = [worth["check"] for worth in ranking["weights"]]
    known = [
        check for row in ranking["leaderboard"] for check, value in row["values"].items() if value is not None
    ]
    return weighted or list(dict.fromkeys(known))


def _row(row: Row, axes: Sequence[str], checks: Sequence[str], at: int | None, best: bool) -> dict[str, Any]:
    return {
        "place": row["place"],
        "name": printable(row["lora"]),
        "number": at,
        "best": best,
        "outcome": row["outcome"],
        "axes": [_plain(row.get(axis)) for axis in axes],
        "utility": _number(row["utility"]),
        "judged": _number(row["judged"]),
        "values": [_number(row["values"].get(check)) for check in checks],
        "stopped_by": printable(", ".join(row["stopped_by"])),
    }


def curves(document: Row) -> dict[str, Any] | None:
    """Return the curves for the page's script, or None if nothing varies."""
    ranking = document.get("ranking") or {}
    if not ranking.get("curves") or ranking.get("axis") is None:
        return None
    best = (ranking.get("best") or {}).get("lora")
    return {
        "axis": leaderboard.word(ranking["axis"]),
        "curves": [
            {key: curve[key] for key in ("better", "min", "max", "role")}
            | {"check": printable(curve["check"]), "label": printable(curve["label"])}
            | {
                "series": [
                    {
                        "name": printable(one["name"]),
                        "points": [_point(point, best) for point in one["points"]],
                    }
                    for one in curve["series"]
                ]
            }
            for curve in ranking["curves"]
        ],
    }


def _point(point: Row, best: str | None) -> dict[str, Any]:
    known = {key: point[key] for key in ("x", "value", "low", "high", "outcome")}
    return known | {"lora": printable(point["lora"]), "best": point["lora"] == best}


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
