"""Summarise each row of each LoRA over its images: average, minimum and maximum, in ``experiments.csv``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

from lora_checks.core.words import number
from lora_checks.record.files import write_text
from lora_checks.record.rows import title
from lora_checks.record.shapes import Document, Lora, Row
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


def table(loras: Sequence[Lora]) -> list[list[str]]:
    """Return headings and a line for each LoRA: "0.459 (0.394 to 0.551)" of each required row with values."""
    checks = dict.fromkeys(
        row["check"] for lora in loras for row in lora["rows"] if row["required"] and of_images(row)
    )
    if not checks:
        return []
    body = []
    for lora in loras:
        rows = {row["check"]: row for row in lora["rows"]}
        body.append([title(lora), *(_span(of_images(rows[c])) if c in rows else "-" for c in checks)])
    return [["average (min to max)", *checks], *body]


def _span(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return f"{number(fmean(values))} ({number(min(values))} to {number(max(values))})"


def write(document: Document, directory: Path) -> Path:
    """Write experiments.csv and return its path. Raises `StoreError`."""
    keys = keys_of(document)
    return write_text(directory / CSV, as_csv((*COLUMNS, *keys), lines(document["loras"], keys)))
