"""Move calibrated limits until the good LoRAs pass in nearly all runs, or say how many prompts that takes.

A limit midway between good and bad may lie close below the good LoRA's own bound, so that the next run of the
same LoRA stops it. So runs of each good LoRA on other prompts are simulated, as in `stats.power`, for its
first seeds and for the others. Its true value is drawn as well, because these prompts determine it no better
than the next ones will. All required rows together may stop it in 5 % of the runs. Rows that stop it rarely
keep their limits; the others share what is left of the 5 %, and their limits move towards the bad LoRAs
without reaching them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lora_checks.core.records import Measurement, Threshold
from lora_checks.core.words import count, number
from lora_checks.judge.calibration import Calibrated, Labelled
from lora_checks.judge.proposal import SIDES, Proposal, Side
from lora_checks.stats import power, shares
from lora_checks.stats.power import Floats

WANTED = 0.95  # of the runs, in which a good LoRA passes all rows
MOST = 2000  # prompts; advice to use more helps nobody


@dataclass(frozen=True, slots=True)
class Asked:
    """A row before and after calibration, and what it measured on the good LoRAs with either seeds."""

    before: Threshold
    calibrated: Calibrated
    good: Sequence[Labelled]
    again: Sequence[Labelled]

    @property
    def threshold(self) -> Threshold:
        """Return the row with its calibrated limits."""
        return self.calibrated.row

    @property
    def arms(self) -> list[Measurement]:
        """Return the measurements of the good LoRAs, with the first and with the other seeds."""
        both = (*self.good, *self.again)
        return [labelled.measurement for labelled in both if labelled.measurement is not None]

    @property
    def counts(self) -> bool:
        """Return whether the row is required and has values that runs can be drawn from."""
        usable = all(power.counted(m) or power.runs_of(m) is not None for m in self.arms)
        return self.calibrated.row.required and not self.calibrated.refused and bool(self.arms) and usable


def powered(rows: Sequence[Asked]) -> tuple[list[Calibrated], list[str]]:
    """Move the limits until each good LoRA passes all rows in `WANTED` of the runs.

    Returns:
        The rows, and a sentence for each good LoRA on how often it passes all of them.
    """
    counting = [row for row in rows if row.counts]
    chances = {row.threshold.name: allowed for row, allowed in zip(counting, _allowed(counting), strict=True)}
    moved = [_moved(row, chances.get(row.threshold.name)) for row in rows]
    after = [replace(row, calibrated=calibrated) for row, calibrated in zip(rows, moved, strict=True)]
    return moved, _sentences([row for row in after if row.counts])


def _allowed(rows: Sequence[Asked]) -> list[float | None]:
    """Return the share of runs in which each row may stop a good LoRA; None if it keeps its limits."""
    stops = [1 - min(_passing(m, row.threshold, row).mean() for m in row.arms) for row in rows]
    if not rows or sum(stops) <= 1 - WANTED:
        return [None] * len(rows)
    fair = (1 - WANTED) / len(rows)
    often = sum(stop > fair for stop in stops)
    left = (1 - WANTED) - sum(stop for stop in stops if stop <= fair)
    return [left / often if stop > fair else None for stop in stops]


def _passing(m: Measurement, t: Threshold, row: Asked) -> Floats:
    """Return the probability that each simulated run passes: 0 or 1, except for counted images."""
    if power.counted(m):
        ends = power.accepted(m, t)
        chance = 0.0 if ends is None else shares.binomial(*ends, power.worth(m), _share(row))
        return np.full(power.DRAWS, chance)
    runs = _runs(m)
    return np.zeros(power.DRAWS) if runs is None else runs.inside(t)


def _share(row: Asked) -> float:
    """Return the worst good LoRA's share of hits, over all its seeds, by Jeffreys' rule."""
    shares_of_hits = []
    for first, other in zip(row.good, row.again, strict=True):
        both = [m for m in (first.measurement, other.measurement) if m is not None]
        n = sum(power.worth(m) for m in both)
        hits = sum(power.as_share(m, m.value) * power.worth(m) for m in both)
        shares_of_hits.append((hits + 0.5) / (n + 1))
    return float(min(shares_of_hits) if row.threshold.max is None else max(shares_of_hits))


def _runs(m: Measurement) -> power.Runs | None:
    """Simulate runs of a LoRA whose true value is itself drawn."""
    runs, values = power.runs_of(m), power.by_prompt(m)
    if runs is None:
        return None
    contributions = np.array(list(values.values()))
    off = contributions[power.draws_of(tuple(values), 1)].mean(axis=1) - contributions.mean()
    return power.Runs(runs.value + off, runs.low + off, runs.high + off)


# --- moving a limit ----------------------------------------------------------------------------------


def _moved(row: Asked, allowed: float | None) -> Calibrated:
    """Move the row's limits until it stops a good LoRA in ``allowed`` of the runs, or refuse the row."""
    if allowed is None:
        return row.calibrated
    limits: dict[Side, float | None] = {side: getattr(row.threshold, side) for side in SIDES}
    changed, sentences = row.threshold, list(row.calibrated.sentences)
    for side, limit in limits.items():
        wanted = None if limit is None else reachable(row, side, allowed)
        if limit is None or wanted is None or _meets(limit, wanted, side):
            continue
        proposal = row.calibrated.proposals.get(side)
        if proposal is None or not (proposal.best < wanted if side == "min" else proposal.best > wanted):
            return _refused(row, side, wanted, proposal, allowed)
        new = _rounded(wanted, proposal.best, side)
        changed = replace(changed, min=new) if side == "min" else replace(changed, max=new)
        sentences = [sentence for sentence in sentences if not sentence.startswith(f"{side} ")]
        sentences.append(
            f"{side} {number(new)} is nearer to bad '{proposal.bad.lora}' {number(proposal.best)} than to "
            f"good '{proposal.good.lora}' {number(proposal.worst)}, so that the good ones pass all rows in "
            f"{100 * WANTED:.0f} % of runs"
        )
    return replace(row.calibrated, row=changed, sentences=tuple(sentences))


def reachable(row: Asked, side: Side, allowed: float) -> float:
    """Return the strictest limit that stops no good LoRA in more than ``allowed`` of the runs."""
    limits = [_reachable(m, row, side, allowed) for m in row.arms]
    return min(limits) if side == "min" else max(limits)


def _reachable(m: Measurement, row: Asked, side: Side, allowed: float) -> float:
    bound = row.threshold.rule == "bound"
    if power.counted(m):
        n = power.worth(m)
        low, high = hits_within(n, _share(row), allowed)
        hits, level = (low if side == "min" else high), (1 - m.confidence) / m.sides
        ends = shares.clopper_pearson(hits, n, level) if bound else (hits / n, hits / n)
        return float(power.as_value(m, ends[0 if side == "min" else 1]) or 0.0)
    runs = _runs(m)
    if runs is None:
        return m.value
    if side == "min":
        return power.quantile(runs.low if bound else runs.value, allowed)
    return -power.quantile(-(runs.high if bound else runs.value), allowed)


def hits_within(n: int, share: float, allowed: float) -> tuple[int, int]:
    """Return the most hits that ``1 - allowed`` of runs reach, and the fewest that as many do not exceed."""
    least = max((k for k in range(n + 1) if shares.binomial(k, n, n, share) >= 1 - allowed), default=0)
    most = min((k for k in range(n + 1) if shares.binomial(0, k, n, share) >= 1 - allowed), default=n)
    return least, most


def _meets(limit: float, wanted: float, side: Side) -> bool:
    """Return whether a limit is no stricter than the strictest allowed."""
    return limit <= wanted if side == "min" else limit >= wanted


def _rounded(wanted: float, best: float, side: Side) -> float:
    """Round to as few digits as keep it between the bad LoRAs and the strictest limit."""
    for digits in range(8):
        scale = 10.0**digits
        limit = (math.floor(wanted * scale) if side == "min" else math.ceil(wanted * scale)) / scale
        if (best < limit) if side == "min" else (limit < best):
            return limit + 0.0
    return wanted


# --- where it is not possible ------------------------------------------------------------------------


def _refused(row: Asked, side: Side, wanted: float, proposal: Proposal | None, allowed: float) -> Calibrated:
    at = getattr(row.threshold, side) if proposal is None else proposal.best
    beyond = "its limit" if proposal is None else f"bad '{proposal.bad.lora}'"
    needed = prompts_needed(row, side, proposal, allowed)
    more = "more prompts will not help: use another metric"
    if needed is not None:
        more = f"about {count(needed, 'prompt')} would be enough"
    if proposal is None:
        more += f", or {side} {number(wanted)}, because no bad LoRA needs a stricter one"
    reason = (
        f"not calibrated: for the good LoRAs to pass all rows in {100 * WANTED:.0f} % of runs with "
        f"{count(row.arms[0].prompts, 'prompt')} it takes {side} {number(wanted, (at,))}, which is beyond "
        f"{beyond} {number(at, (wanted,))}; {more}"
    )
    return Calibrated(row.before, (reason,), refused=True)


def prompts_needed(row: Asked, side: Side, proposal: Proposal | None, allowed: float) -> int | None:
    """Return the number of prompts at which the limit that the good LoRAs need still stops the bad LoRA.

    None if no number is enough. For a share the number is found by trying, in steps of a twentieth.
    """
    up = 1 if side == "min" else -1
    m = min(row.arms, key=lambda arm: up * _reachable(arm, row, side, allowed))
    if power.counted(m):
        return _prompts_of_share(m, row, side, proposal, allowed)
    # both ends approach their values as 1 / sqrt(prompts)
    reach, limit = abs(m.value - _reachable(m, row, side, allowed)), getattr(row.threshold, side)
    if proposal is not None:
        limit, reach = proposal.bad.value, reach + abs(proposal.bad.value - proposal.best)
    gap = up * (m.value - limit)
    needed = MOST + 1 if gap <= 0 else math.ceil(m.prompts * (reach / gap) ** 2) + 1
    return needed if needed <= MOST else None


def _prompts_of_share(
    m: Measurement, row: Asked, side: Side, proposal: Proposal | None, allowed: float
) -> int | None:
    bound, level = row.threshold.rule == "bound", (1 - m.confidence) / m.sides
    end = 0 if side == "min" else 1

    def ends(hits: int, n: int) -> tuple[float, float]:
        return shares.clopper_pearson(hits, n, level) if bound else (hits / n, hits / n)

    def enough(prompts: int) -> bool:
        n = math.ceil(prompts * power.worth(m) / m.prompts)
        wanted = ends(hits_within(n, _share(row), allowed)[end], n)[end]
        limit = power.as_share(m, getattr(row.threshold, side))
        if proposal is not None:
            limit = ends(round(power.as_share(m, proposal.bad.value) * n), n)[1 - end]
        return _meets(limit, wanted, side)

    steps = (math.ceil(m.prompts * 1.05**step) for step in range(1, 120))
    return next((prompts for prompts in steps if prompts <= MOST // 4 and enough(prompts)), None)


def _sentences(rows: Sequence[Asked]) -> list[str]:
    """Say how often each good LoRA passes all rows, with whichever seeds do worse."""
    if not rows:
        return []
    n = max(m.prompts for row in rows for m in row.arms)
    return [
        f"Good '{name}' passes all rows above that are calibrated in about {100 * share:.0f} % of runs with "
        f"{count(n, 'prompt')}."
        for name, share in _passes(rows)
    ]


def _passes(rows: Sequence[Asked]) -> Iterator[tuple[str, float]]:
    for i, labelled in enumerate(rows[0].good):
        arms = [[(row.good[i].measurement, row), (row.again[i].measurement, row)] for row in rows]
        yield labelled.lora.name, min(_together([pair[turn] for pair in arms]) for turn in (0, 1))


def _together(arm: Sequence[tuple[Measurement | None, Asked]]) -> float:
    passed = np.ones(power.DRAWS)
    for m, row in arm:
        if m is not None:
            passed = passed * _passing(m, row.threshold, row)
    return float(passed.mean())
