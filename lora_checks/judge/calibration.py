"""Calibrate a row on LoRAs that people rated good and bad, or say why that is not possible. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lora_checks.core.records import Calibration, Lora, Measurement, Outcome, Threshold
from lora_checks.core.words import number
from lora_checks.judge.proposal import SIDES, Overlap, Proposal, Seen, Side, propose
from lora_checks.judge.verdict import judge, too_many_missing


@dataclass(frozen=True, slots=True)
class Labelled:
    """A good or bad LoRA, and what the row measured on it or why it could not."""

    lora: Lora
    measurement: Measurement | None
    error: str = ""

    @property
    def seen(self) -> Seen:
        """Return the value and its interval; raise `ValueError` without a measurement."""
        if self.measurement is None:
            raise ValueError(self.error)
        return Seen(self.lora.name, self.measurement.value, self.measurement.low, self.measurement.high)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A row after calibration."""

    row: Threshold  # with its new limits, or as it was
    sentences: tuple[str, ...]  # one for each limit
    refused: bool = False
    proposals: Mapping[Side, Proposal] = field(default_factory=dict)  # the new limits


def calibrate(
    row: Threshold, good: Sequence[Labelled], again: Sequence[Labelled], bad: Sequence[Labelled]
) -> Calibrated:
    """Give a row limits that let the good LoRAs pass and stop the bad ones whose fault it measures.

    Args:
        row: The row.
        good: What it measured on the good LoRAs.
        again: The same with other seeds, in the same order.
        bad: What it measured on the bad LoRAs.
    """
    for labelled in (*good, *again):
        if labelled.measurement is None:
            return _refused(row, f"good '{labelled.lora.name}' could not be measured: {labelled.error}")
    # If too many values are missing, the limit would rest on a few images.
    judged = [labelled for labelled in bad if _has_enough_values(labelled, row)]
    proposed = _proposals(row, good, again, judged)
    for side, proposal in proposed.items():
        if isinstance(proposal, Overlap):
            return _refused(row, f"{proposal}; {_parting(proposal, side, [*good, *judged])}")
    new = {side: proposal for side, proposal in proposed.items() if isinstance(proposal, Proposal)}
    names = [labelled.lora.name for labelled in judged]
    stopped = tuple(name for name in names if any(name in proposal.stopped for proposal in new.values()))
    changed = _limited(row, new, _provenance(good, judged, stopped, new) if new else row.calibrated_on)
    sentences = [_sentence(row, side, new.get(side)) for side in proposed]
    sentences += _left_out(bad, judged, stopped)
    return replace(_checked(row, changed, sentences, [*good, *again]), proposals=new)


def _has_enough_values(labelled: Labelled, row: Threshold) -> bool:
    return labelled.measurement is not None and not too_many_missing(labelled.measurement, row)


def _proposals(
    row: Threshold, good: Sequence[Labelled], again: Sequence[Labelled], bad: Sequence[Labelled]
) -> dict[Side, Proposal | Overlap | None]:
    """Propose each limit that the row has."""
    seen = [labelled.seen for labelled in good]
    reseeded = [replace(labelled.seen, lora=f"{labelled.lora.name} with other seeds") for labelled in again]
    wrong = [labelled.seen for labelled in bad]
    limits = {side: getattr(row, side) for side in SIDES}
    return {
        side: propose(side, seen, reseeded, wrong, limit)
        for side, limit in limits.items()
        if limit is not None
    }


def _parting(overlap: Overlap, side: Side, measured: Sequence[Labelled]) -> str:
    """Say how many prompts would separate the two; both intervals shrink as 1 / sqrt(prompts)."""
    up, good, bad = (1 if side == "min" else -1), overlap.good, overlap.bad
    gap = up * (good.value - bad.value)
    prompts = max(labelled.measurement.prompts for labelled in measured if labelled.measurement)
    if good.low is None or good.high is None or bad.low is None or bad.high is None or gap <= 0:
        return "more prompts will not separate them"
    good_reach, bad_reach = good.value - good.low, bad.high - bad.value
    if up < 0:
        good_reach, bad_reach = good.high - good.value, bad.value - bad.low
    # the good LoRA's half-width counts twice: a limit at its own bound would stop it in half of the runs
    needed = math.ceil(prompts * ((2 * good_reach + bad_reach) / gap) ** 2)
    return f"about {needed} prompts would separate them" if needed <= 2000 else "they are too close"


def _left_out(bad: Sequence[Labelled], judged: Sequence[Labelled], stopped: Sequence[str]) -> list[str]:
    """Name the bad LoRAs that set no limit, and say why."""
    alike = [labelled.lora.name for labelled in judged if labelled.lora.name not in stopped]
    without = [labelled.lora.name for labelled in bad if labelled not in judged]
    sentences = [f"as good here as the good ones: {', '.join(alike)}"] if alike and stopped else []
    if without:
        sentences.append(f"stopped by missing values, whatever the limit: {', '.join(without)}")
    return sentences


def _limited(row: Threshold, new: Mapping[Side, Proposal], source: Calibration | None) -> Threshold:
    low, high = (new[side].limit if side in new else getattr(row, side) for side in SIDES)
    return replace(row, min=low, max=high, calibrated_on=source)


def _sentence(row: Threshold, side: Side, proposal: Proposal | None) -> str:
    if proposal is None:
        return (
            f"{side} {number(getattr(row, side))} is left as it is: it separates nothing, because no bad "
            "LoRA lies beyond the good ones"
        )
    good, bad = proposal.good.lora, proposal.bad.lora
    return (
        f"{side} {number(proposal.limit)} is midway between good '{good}' {number(proposal.worst)} and "
        f"bad '{bad}' {number(proposal.best)}"
    )


def _provenance(
    good: Sequence[Labelled], bad: Sequence[Labelled], stopped: Sequence[str], new: Mapping[Side, Proposal]
) -> Calibration:
    """Record what the new limits rest on: the good LoRAs, and the bad ones that they stop."""
    deciding = [*good, *(labelled for labelled in bad if labelled.lora.name in stopped)]
    measurements = [labelled.measurement for labelled in deciding if labelled.measurement is not None]
    return Calibration(
        measurements[0].network,
        tuple(labelled.lora.name for labelled in good),
        tuple(stopped),
        margin=float(f"{min(proposal.margin for proposal in new.values()):.3g}"),
        n=min(m.n + m.missing for m in measurements),
    )


def _checked(
    row: Threshold, changed: Threshold, sentences: Sequence[str], good: Sequence[Labelled]
) -> Calibrated:
    """Judge the good LoRAs as the gate will; refuse limits, new or old, that stop any of them."""
    for labelled in good:
        if labelled.measurement is None:
            continue
        verdict = judge(labelled.measurement, changed, labelled.lora)
        if verdict.outcome is not Outcome.PASS:
            return _refused(row, f"good '{labelled.lora.name}' would not pass: {verdict.reason}")
    return Calibrated(changed, tuple(sentences))


def _refused(row: Threshold, reason: str) -> Calibrated:
    return Calibrated(row, (f"not calibrated: {reason}",), refused=True)


def unstopped(rows: Sequence[Threshold], bad: Sequence[Sequence[Labelled]]) -> tuple[str, ...]:
    """Name the bad LoRAs that every required row lets pass.

    Args:
        rows: The rows with their limits.
        bad: For each row, the bad LoRAs and what it measured on them.
    """
    pairs = [(row, labelled) for row, group in zip(rows, bad, strict=True) for labelled in group]
    stopped = {labelled.lora.name for row, labelled in pairs if row.required and _stops(row, labelled)}
    names = dict.fromkeys(labelled.lora.name for _, labelled in pairs)
    return tuple(name for name in names if name not in stopped)


def _stops(row: Threshold, labelled: Labelled) -> bool:
    if labelled.measurement is None:
        return True
    return judge(labelled.measurement, row, labelled.lora).outcome is not Outcome.PASS
