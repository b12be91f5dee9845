"""Choose three pictures for the top of the page: the best, a typical one and the worst, by a stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lora_checks.core import direction
from lora_checks.core.words import number, printable
from lora_checks.judge.verdict import limits as limit_words
from lora_checks.record.shapes import Document, Lora, Row
from lora_checks.record.shapes.rows import Measurement
from lora_checks.report import questions
from lora_checks.report.html import marks
from lora_checks.report.html.album import Album
from lora_checks.report.html.sheet import measured, short_title

Ranked = tuple[float, str, float | None]  # how good, image, value
WORST = float("-inf")
ENDED = {"FAIL": "that failed", "INCONCLUSIVE": "that is undecided", "ERROR": "in error"}


def chosen(document: Document, album: Album) -> dict[str, Any] | None:
    """Return the pictures and the sentence that says how they were chosen; None without pictures.

    The LoRA is the best of the ranking, or the first. The row that matters is the first of its required
    rows with a value for each image: the document puts the worst verdict first, then the nearest to its
    limit. Images are ordered by their distance from that row's limit; one without a value is the worst.
    """
    found = decisive(document)
    if found is None:
        return None
    lora, row, m = found
    numbers = {p["name"]: album.number(p["sha256"]) for p in lora.get("pictures") or ()}
    ranked = [one for one in ranking(row, m) if numbers.get(one[1]) is not None]
    if not ranked:
        return None
    which = document["loras"].index(lora)
    prompts = {prompt["id"]: prompt["text"] for prompt in document["run"]["prompts"]}
    return {
        "rule": printable(_rule(document, lora, row, m)),
        "figures": [
            {
                "word": word,
                "name": printable(name),
                "lora": which,
                "picture": numbers[name],
                "value": value_of(row, m, value),
                "alt": printable(f"{word} {name}: {prompts.get(name.rpartition('/')[0], '')}"),
            }
            for word, (_, name, value) in _picks(ranked)
        ],
    }


def decisive(document: Document) -> tuple[Lora, Row, Measurement] | None:
    """Return the LoRA and the row that matter most, as in `chosen`; None if no row has values of images."""
    lora = _lora(document)
    by_row = sorted(measured(lora), key=_order) if lora else []
    return None if lora is None or not by_row else (lora, *by_row[0])


def _order(row_and_m: tuple[Row, Measurement]) -> tuple[bool, bool]:
    """Put required rows first, and rows that only count missing values last."""
    row, m = row_and_m
    return m["stat"] == "missing", not row["required"]


def _lora(document: Document) -> Lora | None:
    ranking, loras = document.get("ranking"), document["loras"]
    best = ranking["best"]["lora"] if ranking and ranking["best"] else None
    return next((lora for lora in loras if lora["name"] == best), loras[0] if loras else None)


def ranking(row: Row, m: Measurement) -> list[Ranked]:
    """Order the images from the best to the worst; equal ones stay in the order of the prompts."""
    inside = marks.distance(row)
    threshold = row["threshold"]
    ends = (threshold["min"], threshold["max"]) if threshold else (None, None)
    higher = direction.of_images(*ends, m["stat"], m["better"]) == "higher"
    ranked: list[Ranked] = []
    for name, value in m["per_image"]:
        distance = inside(value)
        if value is None:
            distance = WORST
        elif distance is None:
            distance = value if higher else -value
        ranked.append((distance, name, value))
    return sorted(ranked, key=lambda one: -one[0])


def _picks(ranked: Sequence[Ranked]) -> list[tuple[str, Ranked]]:
    if len(ranked) == 1:
        return [("The only picture", ranked[0])]
    ends = [("Best", ranked[0]), ("Worst", ranked[-1])]
    return ends if len(ranked) == 2 else [ends[0], ("Typical", ranked[len(ranked) // 2]), ends[1]]


def value_of(row: Row, m: Measurement, value: float | None) -> str:
    """Return an image's value with the limit, or why it has none."""
    least, most = marks.limits_of(row)
    if value is None:
        return printable(marks.why(row, m)(None))
    shown = number(value, (least, most))
    limit = limit_words(least, most, value)
    if m["stat"] == "missing":
        return printable(f"{m['metric']} {shown}")
    return printable(f"{questions.quantity(row, m)} {shown}{f' ({limit})' if limit else ''}")


def _rule(document: Document, lora: Lora, row: Row, m: Measurement) -> str:
    why = "which passed most narrowly" if row["outcome"] == "PASS" else f"the first {ENDED[row['outcome']]}"
    several = f" of {short_title(lora)}" if len(document["loras"]) > 1 else ""
    return (
        f"Best, typical and worst{several} by how far {questions.quantity(row, m)} is inside the limit of "
        f"{row['check']}, {why} of the rows with a value for each image."
    )
