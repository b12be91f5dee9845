"""What a LoRA is worth where several pass: from 0 to 1, as the policy declares or from its limits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from lora_checks.record.ranking.entry import Entry, Row
from lora_checks.record.ranking.values import Found, better, halvable, on, whole


class Worth(NamedTuple):
    """``start`` is worth 0 and ``end`` is worth 1, in the row's own unit; beyond them nothing is added."""

    check: str
    weight: float
    start: float
    end: float
    peak: bool = False  # values beyond ``end`` are worth less again, as between two limits

    def of(self, value: float) -> float:
        share = (value - self.start) / (self.end - self.start)
        return min(1.0, max(0.0, 1 - abs(1 - share) if self.peak else share))

    def plain(self) -> dict[str, Any]:
        return {"check": self.check, "weight": self.weight, "from": self.start, "to": self.end}


def declared(said: Sequence[Row], entries: Sequence[Entry]) -> tuple[Worth, ...]:
    """The policy's `ranking:`, as far as its rows have a value for each image."""
    found = [Worth(one["check"], one["weight"], one["from"], one["to"]) for one in said]
    return tuple(worth for worth in found if _rows(entries, worth.check))


def from_limits(entries: Sequence[Entry], prompts: Collection[str] | None) -> tuple[Worth, ...]:
    """Every required row alike: its limit is worth 0, the best value of this run (on ``prompts``) is worth 1.

    Of a row with two limits each is worth 0, and the middle 1. What compares a row with the last approved
    release is about the same value again, and is left out.
    """
    found = []
    checks = dict.fromkeys(check for one in entries for check in one.rows)
    for check in checks:
        rows = _rows(entries, check)
        if rows and rows[0]["required"] and rows[0]["threshold"] and not rows[0].get("change_of"):
            values = [value(row, prompts) for row in rows]
            found.append(_from_limits(check, rows[0], [one.value for one in values if one is not None]))
    return tuple(found)


def _from_limits(check: str, row: Row, values: Sequence[float]) -> Worth:
    low, high = row["threshold"]["min"], row["threshold"]["max"]
    if low is not None and high is not None:
        return Worth(check, 1.0, low, (low + high) / 2 if high > low else low + 1.0, peak=True)
    upwards = better(row) == "higher"
    limit = low if upwards else high
    best = (max if upwards else min)(values, default=limit)
    if (best > limit) if upwards else (best < limit):
        return Worth(check, 1.0, limit, best)
    return Worth(check, 1.0, limit, limit + (1.0 if upwards else -1.0))  # none is inside: all are worth 0


def utility(one: Entry, worths: Sequence[Worth], prompts: Collection[str] | None) -> float | None:
    """Weighted mean over the rows; None where one of them has no value, or there is no row."""
    found = [value(one.rows.get(worth.check), prompts) for worth in worths]
    if not worths or any(this is None for this in found):
        return None
    pairs = [(worth, this.value) for worth, this in zip(worths, found, strict=True) if this is not None]
    return sum(worth.weight * worth.of(this) for worth, this in pairs) / sum(worth.weight for worth in worths)


def value(row: Row | None, prompts: Collection[str] | None) -> Found | None:
    return whole(row) if prompts is None else on(row, prompts)


def distance(row: Row, value: float) -> float:
    """How far inside the limits, in the row's own unit; negative outside."""
    low, high = row["threshold"]["min"], row["threshold"]["max"]
    sides = [value - low] if low is not None else []
    return float(min([*sides, high - value] if high is not None else sides))


def _rows(entries: Sequence[Entry], check: str) -> list[Row]:
    rows = (one.rows.get(check) for one in entries)
    return [row for row in rows if row is not None and halvable(row)]
