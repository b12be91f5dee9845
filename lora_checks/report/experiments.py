"""Summarise each row of each LoRA over its images: average, minimum and maximum, in ``experiments.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from lora_checks.core.words import number
from lora_checks.record.files import write_text
from lora_checks.record.rows import title
from lora_checks.record.shapes import Document, Lora, Row
from lora_checks.report import questions
from lora_checks.report.tables import Line, about, as_csv, keys_of

CSV = "experiments.csv"
COLUMNS = (
    *("lora", "run", "step", "epoch", "scale", "check", "metric", "outcome"),
    *("value", "low", "high", "average", "minimum", "maximum", "images", "missing"),
)


def lines(loras: Iterable[Lora], keys: Sequence[str] = ()) -> Iterator[Line]:
    """Yield a line for each LoRA and measured row.

    ``value``, ``low`` and ``high`` are what was judged; ``average``, ``minimum`` and ``maximum`` are over the
    images that have a value, and None for a metric of the whole set.
    """
    for lora in loras:
        of_lora = about(lora, keys)
        for row in lora["rows"]:
            measured = row["measurement"]
            if measured is None:
                continue
            values = of_images(row)
            yield of_lora | {
                "check": row["check"],
                "metric": measured["metric"],
                "outcome": row["outcome"],
                "value": measured["value"],
                "low": measured["low"],
                "high": measured["high"],
                "average": fmean(values) if values else None,
                "minimum": min(values, default=None),
                "maximum": max(values, default=None),
                "images": len(values) if values else measured["n"],
                "missing": measured["missing"],
            }


def of_images(row: Row) -> list[float]:
    """Return the values of a row's images, without those that have none."""
    measured = row["measurement"]
    return [value for _, value in measured["per_image"] if value is not None] if measured else []


@dataclass(frozen=True, slots=True)
class Column:
    """A quantity that images have, under the name of the row that says most about it."""

    check: str
    label: str  # "arcface gain"


@dataclass(frozen=True, slots=True)
class Span:
    """One row of one LoRA over its images."""

    average: float
    least: float
    most: float
    images: int


def columns(loras: Sequence[Lora]) -> list[Column]:
    """Return each quantity of the required rows once: a share of images has the values of a mean."""
    found: dict[tuple[object, ...], Row] = {}
    for lora in loras:
        for row in lora["rows"]:
            m = row["measurement"]
            if m is None or not row["required"] or not of_images(row):
                continue
            key = (m["metric"], m["network"], m["against"], m["gain"], m["on"], questions.asked(row))
            held = found.get(key)
            if held is None or (m["stat"] == "mean" and _stat(held) != "mean"):
                found[key] = row
    return [Column(row["check"], _label(row)) for row in found.values()]


def _stat(row: Row) -> str:
    return row["measurement"]["stat"] if row["measurement"] else ""


def _label(row: Row) -> str:
    m = row["measurement"]
    return questions.quantity(row, m) if m else ""


def span(lora: Lora, check: str) -> Span | None:
    """Return average, minimum and maximum over the images; None without values."""
    row = next((row for row in lora["rows"] if row["check"] == check), None)
    values = of_images(row) if row else []
    return Span(fmean(values), min(values), max(values), len(values)) if values else None


def table(loras: Sequence[Lora]) -> list[list[str]]:
    """Return headings and a line for each LoRA: "0.459 (0.394 to 0.551)" of each quantity."""
    heads = columns(loras)
    if not heads:
        return []
    body = [[title(lora), *(_text(span(lora, column.check)) for column in heads)] for lora in loras]
    return [["average (min to max)", *(column.check for column in heads)], *body]


def _text(found: Span | None) -> str:
    if found is None:
        return "-"
    return f"{number(found.average)} ({number(found.least)} to {number(found.most)})"


def write(document: Document, directory: Path) -> Path:
    """Write experiments.csv and return its path. Raises `StoreError`."""
    keys = keys_of(document)
    return write_text(directory / CSV, as_csv((*COLUMNS, *keys), lines(document["loras"], keys)))
