"""Compute a LoRA's utility, 0 to 1, to order LoRAs that pass: by the policy's weights or its limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from lora_checks.record.ranking.entry import Entry
from lora_checks.record.ranking.values import Value, better, by_image, limits_of, on, whole
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.run import Weight


class Worth(NamedTuple):
    """The utility of a row's values: 0 up to ``start``, 1 from ``end`` on, in the row's unit."""

    check: str
    weight: float
    start: float
    end: float
    peak: bool = False  # values beyond ``end`` are worth less again, as between two limits

    def of(self, value: float) -> float:
        """Return what a value is worth, from 0 to 1."""
        share = (value - self.start) / (self.end - self.start)
        return min(1.0, max(0.0, 1 - abs(1 - share) if self.peak else share))

    def plain(self) -> Weight:
        """Return the row's part in utility in the document's form."""
        return {"check": self.check, "weight": self.weight, "from": self.start, "to": self.end}


def declared(weights: Sequence[Weight], entries: Sequence[Entry]) -> tuple[Worth, ...]:
    """Return what the policy's `ranking:` declares for the rows that have a value for each image."""
    worths = [Worth(row["check"], row["weight"], row["from"], row["to"]) for row in weights]
    return tuple(worth for worth in worths if _rows(entries, worth.check))


def from_limits(entries: Sequence[Entry], prompts: Collection[str] | None) -> tuple[Worth, ...]:
    """Give every required row the same weight: its limit is worth 0, this run's best value is worth 1.

    Between two limits the middle is worth 1. A row that judges a change since the last approved release is
    left out, because the row whose change it judges counts already.

    Args:
        entries: the LoRAs of the run.
        prompts: the prompts by which the best value is chosen; None for all.
    """
    worths = []
    for check in dict.fromkeys(check for entry in entries for check in entry.rows):
        rows = _rows(entries, check)
        if rows and rows[0]["required"] and rows[0]["threshold"] and not rows[0].get("change_of"):
            values = [value(row, prompts) for row in rows]
            worths.append(_from_limits(check, rows[0], [part.value for part in values if part is not None]))
    return tuple(worths)


def _from_limits(check: str, row: Row, values: Sequence[float]) -> Worth:
    low, high = limits_of(row)
    if low is not None and high is not None:
        return Worth(check, 1.0, low, (low + high) / 2 if high > low else low + 1.0, peak=True)
    upwards = better(row) == "higher"
    limit = low if upwards else high
    assert limit is not None, "a row has a limit, and it points the way that is better"
    best = (max if upwards else min)(values, default=limit)
    if (best > limit) if upwards else (best < limit):
        return Worth(check, 1.0, limit, best)
    return Worth(check, 1.0, limit, limit + (1.0 if upwards else -1.0))  # no value is inside: all are worth 0


def utility(entry: Entry, worths: Sequence[Worth], prompts: Collection[str] | None) -> float | None:
    """Return the weighted mean over the rows; None if one of them has no value, or if there is no row."""
    values = [value(entry.rows.get(worth.check), prompts) for worth in worths]
    if not worths or any(part is None for part in values):
        return None
    pairs = [(worth, part.value) for worth, part in zip(worths, values, strict=True) if part is not None]
    return sum(worth.weight * worth.of(x) for worth, x in pairs) / sum(worth.weight for worth in worths)


def value(row: Row | None, prompts: Collection[str] | None) -> Value | None:
    """Return the row's value on some prompts, or on all if ``prompts`` is None."""
    return whole(row) if prompts is None else on(row, prompts)


def distance(row: Row, value: float) -> float:
    """Return how far inside the row's limits a value is, in the row's unit; negative outside."""
    low, high = limits_of(row)
    sides = [value - low] if low is not None else []
    return min([*sides, high - value] if high is not None else sides)


def _rows(entries: Sequence[Entry], check: str) -> list[Row]:
    rows = (entry.rows.get(check) for entry in entries)
    return [row for row in rows if row is not None and by_image(row)]
