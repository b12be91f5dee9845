"""Prepare ``document["ranking"]`` for the page: a leaderboard and curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lora_checks.core.words import number, printable
from lora_checks.record import rows
from lora_checks.record.ranking import roles
from lora_checks.record.shapes import Document, Lora, Ranking, Row
from lora_checks.record.shapes.ranking import Curve, Place, Point
from lora_checks.report import leaderboard, questions

PROMPT = ("clip_score", "clip_s", "clip_choice")
VARIETY = ("vendi", "lpips_diversity", "nearest_other", "nearest_sibling", "recall", "coverage")


def context(document: Document) -> dict[str, Any] | None:
    """Return the leaderboard as text, or None for a run of one LoRA."""
    ranking = document.get("ranking")
    if not ranking:
        return None
    axes = leaderboard.axes(ranking)
    checks = _checks(ranking)
    numbers = {lora["name"]: i for i, lora in enumerate(document["loras"])}
    refused = {lora["name"]: _refused(lora) for lora in document["loras"]}
    best = ranking["best"]["lora"] if ranking["best"] else None
    return {
        "sentence": _sentence(ranking["sentence"]),
        "rule": _sentence(ranking["rule"]),
        "notes": [_sentence(note) for note in ranking["notes"]],
        "halves": ranking["split"] is not None,
        "axes": [printable(leaderboard.word(axis)) for axis in axes],
        "checks": [printable(check) for check in checks],
        "rows": [
            _row(row, axes, checks, numbers.get(row["lora"]), row["lora"] == best)
            | ({"stopped_by": refused[row["lora"]]} if refused.get(row["lora"]) else {})
            for row in ranking["leaderboard"]
        ],
    }


def _refused(lora: Lora) -> str:
    """Return the reason that stopped several rows at once, such as a file that is not a LoRA; else ""."""
    shared = [reason for reason, checks in rows.errors(lora["rows"]) if len(checks) > 1]
    return _sentence(shared[0].replace(lora["path"], rows.title(lora))) if shared else ""


def _sentence(text: str) -> str:
    return printable(f"{text[:1].upper()}{text[1:].rstrip('.')}.")


def _checks(ranking: Ranking) -> list[str]:
    """Return the checks that count towards utility; if none do, all that have a value."""
    weighted = [worth["check"] for worth in ranking["weights"]]
    known = [
        check for row in ranking["leaderboard"] for check, value in row["values"].items() if value is not None
    ]
    return weighted or list(dict.fromkeys(known))


def _row(
    row: Place, axes: Sequence[str], checks: Sequence[str], at: int | None, best: bool
) -> dict[str, Any]:
    return {
        "place": row["place"],
        "name": printable(row["lora"]),
        "number": at,
        "best": best,
        "outcome": row["outcome"],
        "axes": [printable(leaderboard.place_on(row, axis)) for axis in axes],
        "utility": _number(row["utility"]),
        "judged": _number(row["judged"]),
        "values": [_number(row["values"].get(check)) for check in checks],
        "stopped_by": printable(", ".join(row["stopped_by"])),
    }


def curves(document: Document) -> dict[str, Any] | None:
    """Return the curves for the page's script, or None if nothing varies."""
    ranking = document.get("ranking")
    if not ranking or not ranking["curves"] or ranking["axis"] is None:
        return None
    best = ranking["best"]["lora"] if ranking["best"] else None
    answers = {
        row["check"]: {"label": printable(words)}
        for lora in document["loras"]
        for row in lora["rows"]
        if (words := questions.answer(row))
    }
    abouts = {row["check"]: _about(row) for lora in reversed(document["loras"]) for row in lora["rows"]}
    return {
        "axis": printable(leaderboard.word(ranking["axis"])),
        "categories": [printable(text) for text in ranking.get("categories", ())],
        "curves": [
            _curve(curve, best) | {"about": abouts.get(curve["check"], "")} | answers.get(curve["check"], {})
            for curve in ranking["curves"]
        ],
    }


def _curve(curve: Curve, best: str | None) -> dict[str, Any]:
    return {
        "better": curve["better"],
        "min": curve["min"],
        "max": curve["max"],
        "check": printable(curve["check"]),
        "label": printable(curve["label"]),
        "series": [
            {"name": printable(series["name"]), "points": [_point(point, best) for point in series["points"]]}
            for series in curve["series"]
        ],
    }


def _about(row: Row) -> str:
    """Say what a row shows about training, by what it measures; "" if nothing."""
    m = row["measurement"]
    if question := questions.asked(row):
        return printable(question)
    role = roles.role(row)
    if m is None or not role:
        return ""
    if role == "likeness":
        return "likeness to the subject"
    if m["against"].partition(" (")[0] != "train" and m["metric"] in PROMPT + VARIETY:
        return "agreement with the prompt" if m["metric"] in PROMPT else "variety"
    return "freedom from the training pictures"


def _point(point: Point, best: str | None) -> dict[str, Any]:
    return {**point, "lora": printable(point["lora"]), "best": point["lora"] == best}


def _number(value: float | None) -> str:
    return "" if value is None else number(value)
