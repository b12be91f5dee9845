"""Values of LoRAs that people call good and bad -> the limit between them, or why there is none. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from lora_checks.core.records import Calibration, Lora, Measurement, Outcome, Threshold
from lora_checks.core.words import number
from lora_checks.judge.verdict import judge, too_many_missing

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
    """A limit midway between ``worst`` (the end of a good LoRA) and ``best`` (the end of a bad one)."""

    limit: float
    worst: float
    best: float
    good: Seen
    bad: Seen
    stopped: tuple[str, ...]  # bad LoRAs that lie wholly beyond the limit

    @property
    def margin(self) -> float:
        return abs(self.worst - self.best)


@dataclass(frozen=True, slots=True)
class Overlap:
    """A bad LoRA that is worse than the good ones, or is stopped today, but not for sure."""

    good: Seen
    bad: Seen

    def __str__(self) -> str:
        return (
            f"bad '{self.bad.lora}' {span(self.bad)} overlaps good '{self.good.lora}' {span(self.good)}; "
            "use another metric or more images"
        )


def span(one: Seen) -> str:
    """ "0.610 [0.580, 0.640]"."""
    if one.low is None or one.high is None:
        return number(one.value)
    return f"{number(one.value)} [{number(one.low)}, {number(one.high)}]"


def propose(
    side: Side,
    good: Sequence[Seen],
    again: Sequence[Seen],
    bad: Sequence[Seen],
    today: float | None = None,
) -> Proposal | Overlap | None:
    """The limit between good and bad; None where no bad LoRA is worse than the good ones may be.

    ``again`` are the good LoRAs with other seeds, in the order of ``good``. The worst end of all their
    intervals is what a good LoRA may come to. A bad LoRA whose value is no worse is not what the row is
    about, unless ``today``'s limit stands between them, which is luck. One whose value is worse must lie
    beyond with its whole interval: the limit is midway between the two ends. A value without an interval
    reaches as far as the good LoRAs' values moved with the seeds.
    """
    if not good:
        raise ValueError("no good LoRA")
    up, moved = (1 if side == "min" else -1), chance(good, again)
    weakest = min((*good, *again), key=lambda one: _ends(one, up, moved)[0])
    worst = _ends(weakest, up, moved)[0]
    lucky = _stopped_by_luck(up, [*good, *again], [one for one in bad if up * one.value >= worst], today)
    if lucky is not None:
        return Overlap(weakest, lucky)
    beyond = [one for one in bad if up * one.value < worst]
    if not beyond:
        return None
    nearest = max(beyond, key=lambda one: _ends(one, up, moved)[1])
    best = _ends(nearest, up, moved)[1]
    limit = _rounded((worst + best) / 2, worst - best)
    if not best < limit < worst:
        return Overlap(weakest, nearest)
    stopped = tuple(one.lora for one in beyond)
    return Proposal(up * limit + 0.0, up * worst, up * best, weakest, nearest, stopped)


def _ends(one: Seen, up: int, moved: float) -> tuple[float, float]:
    """The worse and the better end, turned so that more is better."""
    low = one.value - moved if one.low is None else one.low
    high = one.value + moved if one.high is None else one.high
    ends = sorted(up * end for end in (one.value, low, high))
    return ends[0], ends[-1]


def _stopped_by_luck(
    up: int, good: Sequence[Seen], alike: Sequence[Seen], today: float | None
) -> Seen | None:
    """A bad LoRA that the limit of today stops, although it is where a good one may come to."""
    if today is None or any(up * one.value < up * today for one in good):
        return None
    return next((one for one in alike if up * one.value < up * today), None)


def chance(good: Sequence[Seen], again: Sequence[Seen]) -> float:
    """How far a good LoRA's value moved with the seeds, at the most."""
    return max((abs(a.value - b.value) for a, b in zip(good, again, strict=True)), default=0.0)


def _rounded(middle: float, gap: float) -> float:
    """To as few digits as leave it in the middle, by a fortieth of the gap."""
    return round(middle, math.ceil(-math.log10(gap / 20))) if gap > 0 else middle


# --- a row -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Labelled:
    """A good or bad LoRA and what the row measured on it, or why it could not."""

    lora: Lora
    found: Measurement | None
    error: str = ""

    @property
    def seen(self) -> Seen:
        if self.found is None:
            raise ValueError(self.error)
        return Seen(self.lora.name, self.found.value, self.found.low, self.found.high)


@dataclass(frozen=True, slots=True)
class Calibrated:
    row: Threshold  # with its new limits, or as it was
    said: tuple[str, ...]  # a sentence for each limit
    refused: bool = False
    made: Mapping[Side, Proposal] = field(default_factory=dict)  # the limits that are new


def calibrate(
    row: Threshold, good: Sequence[Labelled], again: Sequence[Labelled], bad: Sequence[Labelled]
) -> Calibrated:
    """The row with limits that let the good LoRAs pass and stop the bad ones it is about."""
    for one in (*good, *again):
        if one.found is None:
            return _refused(row, f"good '{one.lora.name}' could not be measured: {one.error}")
    # What is left of values of which too many are missing would set a limit on a few images.
    judged = [one for one in bad if one.found is not None and not too_many_missing(one.found, row)]
    found = _proposals(row, good, again, judged)
    overlap = next((one for one in found.values() if isinstance(one, Overlap)), None)
    if overlap is not None:
        side: Side = next(side for side, one in found.items() if one is overlap)
        return _refused(row, f"{overlap}; {_parting(overlap, side, [*good, *judged])}")
    made = {side: one for side, one in found.items() if isinstance(one, Proposal)}
    stopped = tuple(one.lora.name for one in judged if any(one.lora.name in p.stopped for p in made.values()))
    changed = _limited(row, made, _provenance(good, judged, stopped, made) if made else row.calibrated_on)
    said = [_sentence(row, side, made.get(side)) for side in found]
    said = [*said, *_left_out(bad, judged, stopped)]
    return replace(_checked(row, changed, said, [*good, *again]), made=made)


def _proposals(
    row: Threshold, good: Sequence[Labelled], again: Sequence[Labelled], bad: Sequence[Labelled]
) -> dict[Side, Proposal | Overlap | None]:
    """For each limit that the row has."""
    own, wrong = ([one.seen for one in arm] for arm in (good, bad))
    others = [replace(one.seen, lora=f"{one.lora.name} with other seeds") for one in again]
    limits = {side: getattr(row, side) for side in SIDES}
    return {
        side: propose(side, own, others, wrong, limit) for side, limit in limits.items() if limit is not None
    }


def _parting(found: Overlap, side: Side, measured: Sequence[Labelled]) -> str:
    """How many prompts would part the two; both intervals shrink as 1 / sqrt(prompts)."""
    up, one, other = (1 if side == "min" else -1), found.good, found.bad
    gap, prompts = up * (one.value - other.value), max(m.found.prompts for m in measured if m.found)
    if one.low is None or one.high is None or other.low is None or other.high is None or gap <= 0:
        return "more prompts will not part them"
    good, bad = (one.value - one.low, other.high - other.value)
    if up < 0:
        good, bad = (one.high - one.value, other.value - other.low)
    # twice the good one's: a limit at its own bound would stop it in half of runs
    needed = math.ceil(prompts * ((2 * good + bad) / gap) ** 2)
    return f"about {needed} prompts would part them" if needed <= 2000 else "they are too close"


def _left_out(bad: Sequence[Labelled], judged: Sequence[Labelled], stopped: Sequence[str]) -> list[str]:
    """Bad LoRAs that set no limit, and why."""
    alike = [one.lora.name for one in judged if one.lora.name not in stopped]
    without = [one.lora.name for one in bad if one not in judged]
    said = [f"as good here as the good: {', '.join(alike)}"] if alike and stopped else []
    return said + (
        [f"stopped by missing values, whatever the limit: {', '.join(without)}"] if without else []
    )


def _limited(row: Threshold, made: Mapping[Side, Proposal], source: Calibration | None) -> Threshold:
    low, high = (made[side].limit if side in made else getattr(row, side) for side in SIDES)
    return replace(row, min=low, max=high, calibrated_on=source)


def _sentence(row: Threshold, side: Side, found: Proposal | None) -> str:
    if found is None:
        return (
            f"{side} {number(getattr(row, side))} is left as it is: it separates nothing, as no bad LoRA "
            "lies beyond the good ones"
        )
    return (
        f"{side} {number(found.limit)} is midway between good '{found.good.lora}' {number(found.worst)} and "
        f"bad '{found.bad.lora}' {number(found.best)}"
    )


def _provenance(
    good: Sequence[Labelled],
    bad: Sequence[Labelled],
    stopped: Sequence[str],
    made: Mapping[Side, Proposal],
) -> Calibration:
    """Of the bad LoRAs only those that the limits stop; the others say nothing about them."""
    looked_at = [*good, *(one for one in bad if one.lora.name in stopped)]
    found = [one.found for one in looked_at if one.found is not None]
    return Calibration(
        found[0].network,
        tuple(one.lora.name for one in good),
        tuple(stopped),
        margin=float(f"{min(one.margin for one in made.values()):.3g}"),
        n=min(one.n + one.missing for one in found),
    )


def _checked(row: Threshold, changed: Threshold, said: Sequence[str], good: Sequence[Labelled]) -> Calibrated:
    """Judged as the gate will: a limit that stops a good LoRA, be it an old one, is not proposed."""
    for one in good:
        if one.found is None:
            continue
        verdict = judge(one.found, changed, one.lora)
        if verdict.outcome is not Outcome.PASS:
            return _refused(row, f"good '{one.lora.name}' would not pass: {verdict.reason}")
    return Calibrated(changed, tuple(said))


def _refused(row: Threshold, reason: str) -> Calibrated:
    return Calibrated(row, (f"not calibrated: {reason}",), refused=True)


def unstopped(rows: Sequence[Threshold], bad: Sequence[Sequence[Labelled]]) -> tuple[str, ...]:
    """Bad LoRAs that every required row lets pass; ``bad`` holds for each row what it measured."""
    stopped = {
        one.lora.name
        for row, found in zip(rows, bad, strict=True)
        for one in found
        if row.required and (one.found is None or judge(one.found, row, one.lora).outcome is not Outcome.PASS)
    }
    names = dict.fromkeys(one.lora.name for found in bad for one in found)
    return tuple(name for name in names if name not in stopped)
