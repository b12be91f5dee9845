"""Propose the limit between the values of good and of bad LoRAs, or say why there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lora_checks.core.words import number

Side = Literal["min", "max"]
SIDES: tuple[Side, ...] = ("min", "max")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a row measured on one LoRA."""

    lora: str
    value: float
    low: float | None = None  # interval, where the row has one
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A limit midway between ``worst``, the end of a good LoRA, and ``best``, the end of a bad one."""

    limit: float
    worst: float
    best: float
    good: Seen
    bad: Seen
    stopped: tuple[str, ...]  # bad LoRAs that lie wholly beyond the limit

    @property
    def margin(self) -> float:
        """Return the distance between the two ends."""
        return abs(self.worst - self.best)


@dataclass(frozen=True, slots=True)
class Overlap:
    """A good and a bad LoRA that no limit separates with certainty."""

    good: Seen
    bad: Seen

    def __str__(self) -> str:
        return (
            f"bad '{self.bad.lora}' {span(self.bad)} overlaps good '{self.good.lora}' {span(self.good)}; "
            "use another metric or more images"
        )


def span(seen: Seen) -> str:
    """Return the value with its interval: "0.610 [0.580, 0.640]"."""
    if seen.low is None or seen.high is None:
        return number(seen.value)
    return f"{number(seen.value)} [{number(seen.low)}, {number(seen.high)}]"


def propose(
    side: Side,
    good: Sequence[Seen],
    again: Sequence[Seen],
    bad: Sequence[Seen],
    today: float | None = None,
) -> Proposal | Overlap | None:
    """Propose the limit between good and bad LoRAs.

    A good LoRA may be as bad as the worst end of the good LoRAs' intervals. A bad LoRA whose value is no
    worse than that has a fault that the row does not measure; if the present limit stops it, that is luck
    and counts as an overlap. If its value is worse, its whole interval must be too: the limit is midway
    between the ends. A value without an interval gets one as wide as the good LoRAs moved with the seeds.

    Args:
        side: The limit to propose.
        good: What the row measured on the good LoRAs.
        again: The same with other seeds, in the same order.
        bad: What the row measured on the bad LoRAs.
        today: The present limit.

    Returns:
        The limit, the overlap that forbids one, or None if no bad LoRA is worse than the good ones may be.
    """
    up, moved = (1 if side == "min" else -1), chance(good, again)
    weakest = min((*good, *again), key=lambda seen: _ends(seen, up, moved)[0])
    worst = _ends(weakest, up, moved)[0]
    lucky = _stopped_by_luck(up, [*good, *again], [seen for seen in bad if up * seen.value >= worst], today)
    if lucky is not None:
        return Overlap(weakest, lucky)
    beyond = [seen for seen in bad if up * seen.value < worst]
    if not beyond:
        return None
    nearest = max(beyond, key=lambda seen: _ends(seen, up, moved)[1])
    best = _ends(nearest, up, moved)[1]
    limit = _rounded((worst + best) / 2, worst - best)
    if not best < limit < worst:
        return Overlap(weakest, nearest)
    stopped = tuple(seen.lora for seen in beyond)
    return Proposal(up * limit + 0.0, up * worst, up * best, weakest, nearest, stopped)


def _ends(seen: Seen, up: int, moved: float) -> tuple[float, float]:
    """Return the worse and the better end, signed so that more is better."""
    low = seen.value - moved if seen.low is None else seen.low
    high = seen.value + moved if seen.high is None else seen.high
    ends = sorted(up * end for end in (seen.value, low, high))
    return ends[0], ends[-1]


def _stopped_by_luck(
    up: int, good: Sequence[Seen], alike: Sequence[Seen], today: float | None
) -> Seen | None:
    """Return a bad LoRA that the present limit stops although a good LoRA may have the same value."""
    if today is None or any(up * seen.value < up * today for seen in good):
        return None
    return next((seen for seen in alike if up * seen.value < up * today), None)


def chance(good: Sequence[Seen], again: Sequence[Seen]) -> float:
    """Return the largest move of a good LoRA's value with the seeds. Raises `ValueError` if none is good."""
    if not good:
        raise ValueError("no good LoRA")
    return max((abs(a.value - b.value) for a, b in zip(good, again, strict=True)), default=0.0)


def _rounded(middle: float, gap: float) -> float:
    """Round to as few digits as keep it in the middle, within a fortieth of the gap."""
    return round(middle, math.ceil(-math.log10(gap / 20))) if gap > 0 else middle
