"""Limits with which the good LoRAs pass: how often they do, and how many prompts it takes where they do not.

A limit midway between good and bad may lie close below the good LoRA's own bound, so that the next run of the
same LoRA stops it. Of each good LoRA, with either seeds, runs on other prompts are drawn as in `stats.power`.
Its truth is drawn, too: what these prompts say of it is as uncertain as what the next ones will say. All
required rows together may stop it in 5 % of the runs. Rows that stop it rarely keep their limits; the others
share what is left, and their limits move towards the bad LoRAs, though never to where these are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lora_checks.core.records import Measurement, Threshold
from lora_checks.core.words import count, number
from lora_checks.judge.calibration import SIDES, Calibrated, Labelled, Proposal, Side
from lora_checks.stats import power, shares
from lora_checks.stats.power import Floats

WANTED = 0.95
MOST = 2000  # prompts beyond which their number helps nobody


@dataclass(frozen=True, slots=True)
class Asked:
    """A row of the policy, how it was calibrated, and what it measured on the good LoRAs, by either seeds."""

    before: Threshold
    found: Calibrated
    good: Sequence[Labelled]
    again: Sequence[Labelled]

    @property
    def arms(self) -> list[Measurement]:
        return [one.found for one in (*self.good, *self.again) if one.found is not None]

    @property
    def counts(self) -> bool:
        """Whether it is required and has values that runs can be drawn from."""
        usable = all(power.counted(m) or power.runs_of(m) is not None for m in self.arms)
        return self.found.row.required and not self.found.refused and bool(self.arms) and usable


def powered(rows: Sequence[Asked]) -> tuple[list[Calibrated], list[str]]:
    """The rows with limits that the good LoRAs pass in `WANTED` of runs, and how often each passes all."""
    asked = [row for row in rows if row.counts]
    chances = {row.found.row.name: allowed for row, allowed in zip(asked, _allowed(asked), strict=True)}
    moved = [_moved(row, chances.get(row.found.row.name)) for row in rows]
    ends = [replace(row, found=found) for row, found in zip(rows, moved, strict=True)]
    return moved, _sentences([row for row in ends if row.counts])


def _allowed(rows: Sequence[Asked]) -> list[float | None]:
    """In which share of runs each row may stop a good LoRA; None where its limit is good as it is."""
    stops = [1 - min(_passing(m, row.found.row, row).mean() for m in row.arms) for row in rows]
    if not rows or sum(stops) <= 1 - WANTED:
        return [None] * len(rows)
    fair = (1 - WANTED) / len(rows)
    often = sum(stop > fair for stop in stops)
    left = (1 - WANTED) - sum(stop for stop in stops if stop <= fair)
    return [left / often if stop > fair else None for stop in stops]


def _passing(m: Measurement, t: Threshold, row: Asked) -> Floats:
    """Of each draw, whether or how probably it passes."""
    if power.counted(m):
        ends = power.accepted(m, t)
        chance = 0.0 if ends is None else power.binomial(*ends, power.worth(m), _share(row))
        return np.full(power.DRAWS, chance)
    runs = _runs(m)
    return np.zeros(power.DRAWS) if runs is None else runs.inside(t)


def _share(row: Asked) -> float:
    """Of hits, over all seeds of the good LoRA that does worst, by Jeffreys' rule."""
    found = []
    for one, other in zip(row.good, row.again, strict=True):
        both = [m for m in (one.found, other.found) if m is not None]
        n = sum(power.worth(m) for m in both)
        hits = sum(power.as_share(m, m.value) * power.worth(m) for m in both)
        found.append((hits + 0.5) / (n + 1))
    return float(min(found) if row.found.row.max is None else max(found))


def _runs(m: Measurement) -> power.Runs | None:
    """Runs of a LoRA whose truth is itself drawn."""
    runs, values = power.runs_of(m), power.by_prompt(m)
    if runs is None:
        return None
    found = np.array(list(values.values()))
    off = found[power.draws_of(tuple(values), 1)].mean(axis=1) - found.mean()
    return power.Runs(runs.value + off, runs.low + off, runs.high + off)


# --- moving a limit ----------------------------------------------------------------------------------


def _moved(row: Asked, allowed: float | None) -> Calibrated:
    """The row with its limits moved until it stops a good LoRA in ``allowed`` of runs, or refused."""
    if allowed is None:
        return row.found
    limits: dict[Side, float | None] = {side: getattr(row.found.row, side) for side in SIDES}
    changed, said = row.found.row, list(row.found.said)
    for side, limit in limits.items():
        wanted = None if limit is None else reachable(row, side, allowed)
        if limit is None or wanted is None or _meets(limit, wanted, side):
            continue
        made = row.found.made.get(side)
        if made is None or not (made.best < wanted if side == "min" else made.best > wanted):
            return _refused(row, side, wanted, made, allowed)
        new = _rounded(wanted, made.best, side)
        changed = replace(changed, min=new) if side == "min" else replace(changed, max=new)
        said = [text for text in said if not text.startswith(f"{side} ")]
        said.append(
            f"{side} {number(new)} is nearer to bad '{made.bad.lora}' {number(made.best)} than to good "
            f"'{made.good.lora}' {number(made.worst)}, so that the good ones pass all rows in "
            f"{100 * WANTED:.0f} % of runs"
        )
    return replace(row.found, row=changed, said=tuple(said))


def reachable(row: Asked, side: Side, allowed: float) -> float:
    """The strictest limit that stops no good LoRA in more than ``allowed`` of runs."""
    found = [_reachable(m, row, side, allowed) for m in row.arms]
    return min(found) if side == "min" else max(found)


def _reachable(m: Measurement, row: Asked, side: Side, allowed: float) -> float:
    bound = row.found.row.rule == "bound"
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
    """The most hits that more than ``1 - allowed`` of runs reach, and the fewest that so many stay within."""
    least = max((k for k in range(n + 1) if power.binomial(k, n, n, share) >= 1 - allowed), default=0)
    most = min((k for k in range(n + 1) if power.binomial(0, k, n, share) >= 1 - allowed), default=n)
    return least, most


def _meets(limit: float, wanted: float, side: Side) -> bool:
    """Whether a limit is no stricter than the strictest that may be."""
    return limit <= wanted if side == "min" else limit >= wanted


def _rounded(wanted: float, best: float, side: Side) -> float:
    """To as few digits as leave it between the bad LoRAs and the strictest limit."""
    for digits in range(8):
        scale = 10.0**digits
        limit = (math.floor(wanted * scale) if side == "min" else math.ceil(wanted * scale)) / scale
        if (best < limit) if side == "min" else (limit < best):
            return limit + 0.0
    return wanted


# --- where it is not possible ------------------------------------------------------------------------


def _refused(row: Asked, side: Side, wanted: float, made: Proposal | None, allowed: float) -> Calibrated:
    at = getattr(row.found.row, side) if made is None else made.best
    beyond = "its limit" if made is None else f"bad '{made.bad.lora}'"
    needed = prompts_needed(row, side, made, allowed)
    more = "more prompts will not do: use another metric"
    if needed is not None:
        more = f"about {count(needed, 'prompt')} would do"
    if made is None:
        more += f", or {side} {number(wanted)}, as no bad LoRA needs a stricter one"
    reason = (
        f"not calibrated: for the good LoRAs to pass all rows in {100 * WANTED:.0f} % of runs with "
        f"{count(row.arms[0].prompts, 'prompt')} it takes {side} {number(wanted, (at,))}, which is beyond "
        f"{beyond} {number(at, (wanted,))}; {more}"
    )
    return Calibrated(row.before, (reason,), refused=True)


def prompts_needed(row: Asked, side: Side, made: Proposal | None, allowed: float) -> int | None:
    """Prompts at which the limit that the good LoRAs need lies on this side of the bad; None for no number.

    Of a share by trying, so that the number is about a twentieth too large at most.
    """
    up = 1 if side == "min" else -1
    m = min(row.arms, key=lambda one: up * _reachable(one, row, side, allowed))
    if power.counted(m):
        return _prompts_of_share(m, row, side, made, allowed)
    # both ends come nearer to their values as 1 / sqrt(prompts)
    reach, limit = abs(m.value - _reachable(m, row, side, allowed)), getattr(row.found.row, side)
    if made is not None:
        limit, reach = made.bad.value, reach + abs(made.bad.value - made.best)
    gap = up * (m.value - limit)
    needed = MOST + 1 if gap <= 0 else math.ceil(m.prompts * (reach / gap) ** 2) + 1
    return needed if needed <= MOST else None


def _prompts_of_share(
    m: Measurement, row: Asked, side: Side, made: Proposal | None, allowed: float
) -> int | None:
    bound, level = row.found.row.rule == "bound", (1 - m.confidence) / m.sides
    end = 0 if side == "min" else 1

    def ends(hits: int, n: int) -> tuple[float, float]:
        return shares.clopper_pearson(hits, n, level) if bound else (hits / n, hits / n)

    def enough(prompts: int) -> bool:
        n = math.ceil(prompts * power.worth(m) / m.prompts)
        wanted = ends(hits_within(n, _share(row), allowed)[end], n)[end]
        limit = power.as_share(m, getattr(row.found.row, side))
        if made is not None:
            limit = ends(round(power.as_share(m, made.bad.value) * n), n)[1 - end]
        return _meets(limit, wanted, side)

    steps = (math.ceil(m.prompts * 1.05**step) for step in range(1, 120))
    return next((prompts for prompts in steps if prompts <= MOST // 4 and enough(prompts)), None)


def _sentences(rows: Sequence[Asked]) -> list[str]:
    """How often each good LoRA passes all rows, either seeds."""
    if not rows:
        return []
    n = max(m.prompts for row in rows for m in row.arms)
    return [
        f"Good '{name}' passes all rows above that are calibrated in about {100 * share:.0f} % of runs with "
        f"{count(n, 'prompt')}."
        for name, share in _passes(rows)
    ]


def _passes(rows: Sequence[Asked]) -> Iterator[tuple[str, float]]:
    for i, one in enumerate(rows[0].good):
        arms = [[(row.good[i].found, row), (row.again[i].found, row)] for row in rows]
        yield one.lora.name, min(_together([pair[turn] for pair in arms]) for turn in (0, 1))


def _together(arm: Sequence[tuple[Measurement | None, Asked]]) -> float:
    passed = np.ones(power.DRAWS)
    for m, row in arm:
        if m is not None:
            passed = passed * _passing(m, row.found.row, row)
    return float(passed.mean())
