"""Compute how much better than its limits a LoRA must be to pass a row, and all rows, in nearly every run.

`rule: bound` passes a LoRA whose true value is at the limit in 5 % of runs. To pass in 90 or 99 % of them, a
LoRA must be better than the limit by about the width of the interval. How much exactly follows from the
measurement:

- For a mean, and for a set's value through its pseudo-values, runs on other prompts are drawn with
  replacement from the values of the prompts. Their spread is corrected for their estimated mean, and each run
  is judged by the gate's interval (`intervals.mean_bounds`). A LoRA of another true value is assumed to
  have the same values, all shifted by the same amount, so its bounds shift by that amount.
- For a share, a run has a binomial number of hits among the effective number of images (`shares.worth`).
  This is exact.

Rows with the same prompts get the same draws, so that rows that fail together do so here; shares are drawn
independently.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import quantity
from lora_checks.core.records import Measurement, Threshold
from lora_checks.stats import intervals, shares

DRAWS = 2000
CHANCES = (0.9, 0.99)
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Row = tuple[Measurement, Threshold]


@dataclass(frozen=True, slots=True)
class Need:
    """The true value that passes a row often enough; None for a limit that the row does not have."""

    least: float | None = None
    most: float | None = None


def need(m: Measurement, t: Threshold, chance: float) -> Need | None:
    """Return the true value that passes a row with `rule: bound` in ``chance`` of the runs.

    None for a row without an interval, and for a row that no LoRA passes that often with this number of
    prompts.
    """
    if t.rule != "bound" or m.waiting:
        return None
    if counted(m):
        return _need_of_share(m, t, chance)
    runs = runs_of(m)
    return None if runs is None else _need_of_mean(runs, m, t, chance)


def passes(rows: Sequence[Row], chance: float | None = None) -> float | None:
    """Return the share of runs in which a LoRA passes all rows.

    Args:
        rows: What was measured, and the rows.
        chance: None for the LoRA as it was measured; a share of runs for a LoRA that passes each row with
            `rule: bound` in just that share.

    Returns:
        The share, or None if a row allows no estimate: it waited, or has too few prompts with a value.
    """
    together = np.ones(DRAWS)
    for m, t in rows:
        passed = _passed(m, t, chance)
        if passed is None:
            return None
        together = together * passed
    return float(together.mean())


def _passed(m: Measurement, t: Threshold, chance: float | None) -> Floats | None:
    """Return the probability that each simulated run passes the row: 0 or 1, except for counted images."""
    if m.waiting:
        return None
    if chance is not None and t.rule == "bound":
        return _passed_at(m, t, chance)
    if counted(m):
        ends = accepted(m, t)
        return np.full(DRAWS, 0.0 if ends is None else shares.binomial(*ends, worth(m), as_share(m, m.value)))
    runs = runs_of(m)
    return None if runs is None else runs.inside(t)


def _passed_at(m: Measurement, t: Threshold, chance: float) -> Floats | None:
    wanted = need(m, t, chance)
    if wanted is None:
        return np.zeros(DRAWS) if counted(m) or runs_of(m) is not None else None
    truth = _nearest(m.value, wanted)
    ends = accepted(m, t) if counted(m) else None
    if ends is not None:
        return np.full(DRAWS, shares.binomial(*ends, worth(m), as_share(m, truth)))
    runs = runs_of(m)
    return None if runs is None else runs.inside(t, truth - m.value)


def _nearest(value: float, wanted: Need) -> float:
    """Return the true value to assume: between two limits, the measured value if that is good enough."""
    if wanted.least is None or wanted.most is None:
        return float(wanted.most if wanted.least is None else wanted.least)  # type: ignore[arg-type]
    return min(max(value, wanted.least), wanted.most)


# --- means -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Runs:
    """Simulated runs on other prompts: the value and interval of each."""

    value: Floats  # (DRAWS,)
    low: Floats
    high: Floats

    def inside(self, t: Threshold, moved: float = 0.0) -> Floats:
        """Return whether each run passes if the LoRA's true value is moved by ``moved``: 0 or 1, (DRAWS,)."""
        low, high = (self.low, self.high) if t.rule == "bound" else (self.value, self.value)
        over = -np.inf if t.min is None else t.min
        under = np.inf if t.max is None else t.max
        slack = 1e-9 * (1 + abs(moved))  # `moved` is chosen so that some run is exactly at the limit
        return ((low + moved >= over - slack) & (high + moved <= under + slack)).astype(np.float64)


def _need_of_mean(runs: Runs, m: Measurement, t: Threshold, chance: float) -> Need | None:
    least = None if t.min is None else t.min + m.value - quantile(runs.low, 1 - chance)
    most = None if t.max is None else t.max + m.value + quantile(-runs.high, 1 - chance)
    if least is not None and most is not None and least > most:
        return None
    return Need(least, most)


def inside_limit(prompts: int, level: float, chance: float) -> float:
    """Return how far inside its limit a mean has to be to pass in ``chance`` of the runs.

    In standard deviations of the prompts' values, if these are normal; long tails on the bad side need more.
    The noncentral t's quantile in Johnson and Welch's approximation ("Applications of the non-central
    t-distribution", 1940).
    """
    t = intervals.t_quantile(1 - level, prompts - 1)
    z = NormalDist().inv_cdf(chance)
    return (t + z * math.sqrt(1 + t**2 / (2 * (prompts - 1)))) / math.sqrt(prompts)


def quantile(values: Floats, share: float) -> float:
    """Return the value that at most ``share`` of the values are below."""
    return float(np.quantile(values, share, method="lower"))


def runs_of(m: Measurement) -> Runs | None:
    """Simulate runs of the LoRA as it was measured; None if too few prompts have a value."""
    per_prompt = by_prompt(m)
    if len(per_prompt) < intervals.MIN_PROMPTS or _two_valued(m):
        return None
    names, values = tuple(per_prompt), tuple(per_prompt.values())
    stat = m.stat
    if stat == quantity.WORST:
        stat = "min" if m.value <= min(values) else "max"
    return _drawn(names, values, m.value, stat, (1 - m.confidence) / m.sides)


_REDUCED: dict[str, Callable[[Floats], Floats]] = {
    "min": lambda draws: np.asarray(draws.min(axis=-1)),
    "max": lambda draws: np.asarray(draws.max(axis=-1)),
    "median": lambda draws: np.asarray(np.median(draws, axis=-1)),
}


@lru_cache(maxsize=128)
def _drawn(names: tuple[str, ...], values: tuple[float, ...], value: float, stat: str, tail: float) -> Runs:
    k, contributions = len(names), np.array(values)
    draws = contributions[draws_of(names)]
    if stat != "mean":
        reduced = _REDUCED[stat](draws)
        return Runs(reduced, reduced, reduced)
    centre = contributions.mean()
    # the spread of K values around their own mean is too small by this factor
    draws = centre + (draws - centre) * math.sqrt(k / (k - 1))
    mean, low, high = intervals.mean_bounds(draws, tail)
    off = value - centre  # a set's value is not the mean of its pseudo-values
    return Runs(mean + off, low + off, high + off)


@lru_cache(maxsize=16)
def draws_of(names: tuple[str, ...], turn: int = 0) -> NDArray[np.int_]:
    """Draw K prompts for each of `DRAWS` runs: the same for the same prompts, different for each ``turn``."""
    seed = int.from_bytes(hashlib.sha256("\n".join(names).encode(errors="replace")).digest()[:8], "big")
    return np.random.default_rng([seed, turn]).integers(0, len(names), (DRAWS, len(names)))


def by_prompt(m: Measurement) -> dict[str, float]:
    """Return what each prompt contributes to the value; {} if that is unknown."""
    if m.by_prompt:
        return dict(m.by_prompt)
    of_prompt: dict[str, list[float]] = {}
    for name, value in m.per_image:
        if value is not None:
            of_prompt.setdefault(quantity.prompt_of(name), []).append(value)
    return {prompt: _of_prompt(m.stat, values) for prompt, values in sorted(of_prompt.items())}


def _of_prompt(stat: str, values: Sequence[float]) -> float:
    return min(values) if stat == "min" else max(values) if stat == "max" else float(np.mean(values))


# --- shares ------------------------------------------------------------------------------------------


def counted(m: Measurement) -> bool:
    """Return whether images are counted, so that a run has a binomial number of hits.

    The mean of two-valued images is also a share; the gain of such a mean is a difference of two shares.
    """
    return m.stat in quantity.COUNTED or (_two_valued(m) and not m.gain)


def _two_valued(m: Measurement) -> bool:
    return m.stat == "mean" and m.points is not None


def _scale(m: Measurement) -> tuple[float, float]:
    """Return a share of 0 and a share of 1 in the row's unit."""
    return m.points if m.points is not None and m.stat == "mean" else (0.0, 1.0)


def as_share(m: Measurement, value: float) -> float:
    """Return a value of the row as a share of images."""
    low, high = _scale(m)
    return (value - low) / (high - low)


def as_value(m: Measurement, share: float | None) -> float | None:
    """Return a share of images in the row's unit."""
    low, high = _scale(m)
    return None if share is None else low + (high - low) * share


def accepted(m: Measurement, t: Threshold) -> tuple[int, int] | None:
    """Return the fewest and the most hits with which the row passes; None if no number passes."""
    least, most = (None if limit is None else as_share(m, limit) for limit in (t.min, t.max))
    return accepted_hits(worth(m), (1 - m.confidence) / m.sides, t.rule, least, most)


@lru_cache(maxsize=128)
def accepted_hits(
    n: int, level: float, rule: str, least: float | None, most: float | None
) -> tuple[int, int] | None:
    """Return the fewest and the most hits among ``n`` images that lie between two shares; None if none do.

    Args:
        n: Number of images.
        level: The chance that an end of the interval is wrong.
        rule: "bound" to compare the ends of the interval, "estimate" to compare the share itself.
        least: The smallest share allowed; None for no limit.
        most: The largest share allowed; None for no limit.
    """

    def ends(hits: int) -> tuple[float, float]:
        return shares.clopper_pearson(hits, n, level) if rule == "bound" else (hits / n, hits / n)

    # both ends grow with the number of hits
    fewest = 0 if least is None else bisect_left(range(n + 1), True, key=lambda hits: ends(hits)[0] >= least)
    top = n if most is None else bisect_left(range(n + 1), True, key=lambda hits: ends(hits)[1] > most) - 1
    return (fewest, top) if fewest <= top else None


def _need_of_share(m: Measurement, t: Threshold, chance: float) -> Need | None:
    ends, n = accepted(m, t), worth(m)
    if ends is None:
        return None
    needed = share_needed(ends, n, chance, t.min, t.max)
    return None if needed is None else Need(as_value(m, needed[0]), as_value(m, needed[1]))


def share_needed(
    ends: tuple[int, int], n: int, chance: float, low: float | None, high: float | None
) -> tuple[float | None, float | None] | None:
    """Return the true shares between which a row passes in ``chance`` of the runs; None if there are none.

    Args:
        ends: The fewest and the most hits with which it passes, of `accepted_hits`.
        n: Number of images.
        chance: Share of runs.
        low: The row's lower limit; if None, the lower end is None too.
        high: The same for the upper end.
    """
    fewest, most = ends
    # P(hits <= most) = chance, and P(hits >= fewest) = chance
    above = (
        None if high is None else shares.beta_quantile(1 - chance, most + 1, n - most) if most < n else 1.0
    )
    below = None if low is None else shares.beta_quantile(chance, fewest, n - fewest + 1) if fewest else 0.0
    if above is not None and below is not None and below > above:
        return None
    return below, above


def worth(m: Measurement) -> int:
    """Return how many independent images these count as; the number of prompts, if each has one image."""
    return _worth_of(_hits(m), (1 - m.confidence) / m.sides)


@lru_cache(maxsize=128)
def _worth_of(hits: tuple[tuple[str, bool], ...], level: float) -> int:
    groups = [name for name, _ in hits]
    return int(shares.worth(np.array([hit for _, hit in hits]), groups, level))


def _hits(m: Measurement) -> tuple[tuple[str, bool], ...]:
    """Return the prompt of each image that takes part, and whether it is a hit."""
    return tuple(
        (quantity.prompt_of(name), is_hit(m, value))
        for name, value in m.per_image
        if value is not None or m.stat == "missing"
    )


def is_hit(m: Measurement, value: float | None) -> bool:
    """Return whether an image is counted in the measured share."""
    if m.stat == "missing" or value is None:
        return value is None
    if m.at is None:
        return value == _scale(m)[1]
    return quantity.counts(value, m.stat, m.at)
