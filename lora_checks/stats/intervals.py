"""Compute intervals with prompts as the sampling unit.

Images of one prompt resemble each other, so 16 prompts x 4 seeds are 16 observations, not 64. Each prompt is
left out in turn; the resulting pseudo-values give a bias-corrected estimate and, through Student's t, an
interval (Tukey 1958; Miller, "The jackknife - a review", 1974). For the mean of a balanced set the
pseudo-values are the prompts' means; but they also exist for values of whole sets, such as a Frechet
distance.

A few bad prompts among good ones skew the values, and Student's t then errs on one side: with 16 values of
skewness 1, its bounds at 95 % are wrong in 2.8 and 7.9 % of draws. Hall's transformation of t ("On the
removal of skewness by transformation", 1992) corrects for the skewness: 4.0 and 5.9 %, and still 5.0 % for
normal values. The correction is capped at `LEAN`: where a single prompt causes all of the skewness, the
transform would put the bound four times as far away as Student's t does (docs/decisions/0029, which also has
the coverage).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

MIN_PROMPTS = 8  # below this, simulated coverage is visibly short of nominal for skewed values
CONFIDENCE = 0.95
# The most of skewness / sqrt(K) x t that is corrected for. Near 1 the transform is vertical, so that a small
# change of a value would move the bound without limit. At 0.78 no bound is more than 1.7 times as far away as
# Student's.
LEAN = 0.78


class Interval(NamedTuple):
    """An estimate and its bounds."""

    estimate: float  # bias-corrected; the plain value for a mean over equally many images per prompt
    low: float
    high: float


def jackknife(
    value_of: Callable[[NDArray[np.bool_]], float],
    groups: Sequence[str],
    *,
    confidence: float = CONFIDENCE,
    sides: Literal[1, 2] = 2,
) -> Interval | None:
    """Return the jackknife interval of a value.

    The correction removes bias of order 1/N. A Frechet distance over fewer images than dimensions has another
    kind of bias: there only the width of the interval means something, around the plain value.

    Args:
        value_of: Computes the value of the rows that ``keep`` (N,) marks.
        groups: The prompt of each row, (N,). All rows need a value: a prompt whose images have none would
            count as an observation that never varies.
        confidence: The probability that the interval holds.
        sides: With 2, both ends hold together; with 1, each end holds by itself, as a row with one limit
            needs.

    Returns:
        The interval, or None if fewer than `MIN_PROMPTS` prompts have a value, or if there is no value
        without one of them.
    """
    pseudo = pseudo_values(value_of, groups)
    if pseudo is None:
        return None
    return mean_interval(np.array(list(pseudo.values())), (1 - confidence) / sides)


def pseudo_values(
    value_of: Callable[[NDArray[np.bool_]], float], groups: Sequence[str]
) -> dict[str, float] | None:
    """Return what each prompt contributes to a value: its pseudo-value, by prompt.

    `jackknife` takes their mean and spread. Two runs on the same prompts are compared prompt by prompt: the
    differences are nearly independent.

    Args:
        value_of: As in `jackknife`.
        groups: As in `jackknife`.
    """
    names, index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    k = len(names)
    if k < MIN_PROMPTS:
        return None
    whole = value_of(np.ones(len(index), dtype=bool))
    without = np.array([value_of(index != group) for group in range(k)], dtype=np.float64)
    pseudo = k * whole - (k - 1) * without
    if not np.isfinite(pseudo).all():
        return None
    return dict(zip(names.tolist(), pseudo.tolist(), strict=True))


def mean_interval(values: NDArray[np.float64], tail: float) -> Interval:
    """Return the interval of the mean of (K,) independent values; each end is wrong with chance ``tail``."""
    mean, low, high = (float(number) for number in mean_bounds(values, tail))
    return Interval(mean, low, high)


def mean_bounds(
    values: NDArray[np.float64], tail: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, lower end and upper end of each row of (..., K) values; see `mean_interval`."""
    k, mean, spread = values.shape[-1], values.mean(axis=-1), values.std(axis=-1, ddof=1)
    alike = spread <= 1e-12 * abs(mean)  # the same number K times, up to rounding
    scaled = (values - mean[..., None]) / np.where(alike, 1.0, spread)[..., None]
    a = np.where(alike, 0.0, k / ((k - 1) * (k - 2)) * (scaled**3).sum(axis=-1)) / math.sqrt(k)
    t, error = t_quantile(1 - tail, k - 1), np.where(alike, 0.0, spread) / math.sqrt(k)
    return mean, mean - error * _skewed(t, a), mean - error * _skewed(-t, a)


def _skewed(t: float, a: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the t statistic whose Hall transform is ``t``; ``a`` is skewness / sqrt(K)."""
    a = np.clip(a, -LEAN / abs(t), LEAN / abs(t))
    straight = abs(a) < 1e-6
    safe = np.where(straight, 1.0, a)
    return np.where(straight, t, 3 / safe * (np.cbrt(1 + safe * (t - safe / 6)) - 1))


@lru_cache(maxsize=256)
def t_quantile(p: float, df: int) -> float:
    """Return the t with P(T <= t) = p, for whole degrees of freedom.

    Bisect the finite sums of Abramowitz & Stegun 26.7.3-4: importing scipy.special would take a third of a
    second in runs that otherwise take two.
    """
    if not (0 < p < 1 and df >= 1):
        raise ValueError(f"no t quantile at p={p}, df={df}")
    inner = abs(2 * p - 1)  # P(|T| <= t)
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, df) < inner else (low, middle)
    return math.copysign(math.sqrt(df) * math.tan((low + high) / 2), p - 0.5)


def _within(theta: float, df: int) -> float:
    """Return P(|T| <= sqrt(df) tan(theta))."""
    cos2, odd = math.cos(theta) ** 2, df % 2
    term, total = (math.cos(theta) if odd else 1.0), 0.0
    for k in range(2 + odd, df + 1, 2):  # cos + 2/3 cos^3 + ... or 1 + 1/2 cos^2 + ...
        total += term
        term *= (k - 1) / k * cos2
    total *= math.sin(theta)
    return 2 / math.pi * (theta + total) if odd else total


def more_prompts(
    low: float, high: float, prompts: int, limit: float, *, tail: float = 0.025, most: int = 1000
) -> int | None:
    """Return how many more prompts would probably put the whole interval on one side of ``limit``.

    "Probably" means a power of 80 %, if the truth is the interval's centre and prompts vary as they did.

    Args:
        low: The lower end of the interval.
        high: The upper end of the interval.
        prompts: The number of prompts so far.
        limit: The limit.
        tail: The chance that an end of the interval is wrong.
        most: The largest answer.

    Returns:
        The number, or None if it is more than ``most``: the value is practically at the limit.
    """
    distance = abs((low + high) / 2 - limit)
    spread = (high - low) / 2 / t_quantile(1 - tail, prompts - 1) * math.sqrt(prompts)  # sd of a prompt

    def decides(total: int) -> bool:
        return distance >= (t_quantile(1 - tail, total - 1) + 0.8416) * spread / math.sqrt(total)

    if not decides(prompts + most):
        return None
    enough, short = prompts + most, prompts
    while enough - short > 1:
        middle = (enough + short) // 2
        enough, short = (middle, short) if decides(middle) else (enough, middle)
    return enough - prompts


def more_seeds(
    prompts: Sequence[Sequence[float]], limit: float, *, tail: float = 0.025, most: int = 100
) -> int | None:
    """Return how many more seeds of the same prompts would probably decide; see `more_prompts`.

    More seeds only average out what differs within a prompt.

    Args:
        prompts: The values of each prompt.
        limit: The limit.
        tail: The chance that an end of the interval is wrong.
        most: The largest answer.

    Returns:
        The number, or None if the prompts differ too much from each other, or if each has one image, so that
        nothing is known about differences within a prompt.
    """
    k, n = len(prompts), sum(len(values) for values in prompts)
    if k < 2 or n == k:
        return None
    means = np.array([np.mean(values) for values in prompts])
    within = sum(float(np.var(values)) * len(values) for values in prompts) / (n - k)
    seeds = n / k
    between = max(0.0, float(means.var(ddof=1)) - within / seeds)  # of the prompts, without that of the seeds
    error = abs(float(means.mean()) - limit) / (t_quantile(1 - tail, k - 1) + 0.8416)
    room = k * error**2 - between
    if room <= 0 or within / room > seeds + most:
        return None
    return max(1, math.ceil(within / room - seeds))
