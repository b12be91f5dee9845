"""Compute intervals of a share of images, with prompts as the sampling unit.

A jackknife of a share degenerates near 0 and 1: if all images agree, leaving out a prompt changes nothing,
and the interval would be a point. One image per prompt is the plain binomial case, whose exact interval is
Clopper & Pearson's (1934). Several images per prompt count as fewer independent ones: Korn & Graubard
("Confidence intervals for proportions with small expected number of positive counts estimated from survey
data", 1998) put the effective number into the exact interval, corrected for the degrees of freedom that
estimating it costs. Where fewer than `ENOUGH` prompts have an image of the rarer kind, it cannot be
estimated, and each prompt counts as a single observation: without that rule a bound at 95 % was wrong in up
to 9.5 % of 20,000 simulated draws (16 or 32 prompts x 4, shares of 0.05 to 0.1), with it in at most 4.5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lora_checks.stats import intervals

ENOUGH = 3  # prompts with an image of the rarer kind
POWER = 0.8  # the share of runs that the advised number of prompts decides


def interval(
    hits: NDArray[np.bool_],
    groups: Sequence[str],
    *,
    confidence: float = intervals.CONFIDENCE,
    sides: int = 2,
) -> intervals.Interval | None:
    """Return the exact interval of ``hits.mean()``; None with fewer than `intervals.MIN_PROMPTS` prompts.

    Args:
        hits: Whether each image counts, (N,).
        groups: The prompt of each image, (N,).
        confidence: See `intervals.jackknife`.
        sides: See `intervals.jackknife`.
    """
    if len(set(groups)) < intervals.MIN_PROMPTS:
        return None
    share, level = float(hits.mean()), (1 - confidence) / sides
    n = worth(hits, groups, level)
    return intervals.Interval(share, *clopper_pearson(share * n, n, level))


def worth(hits: NDArray[np.bool_], groups: Sequence[str], level: float) -> float:
    """Return how many independent images the images count as.

    Args:
        hits: Whether each image counts, (N,).
        groups: The prompt of each image, (N,).
        level: The chance that an end of the interval is wrong.
    """
    _, index = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    images = np.bincount(index).astype(np.float64)
    return _effective(np.bincount(index, weights=hits).astype(np.float64), images, level)


def _effective(hits: NDArray[np.float64], images: NDArray[np.float64], level: float) -> float:
    """Return the effective number, at least the prompts and at most the images, from each prompt's counts."""
    k, n = len(images), float(images.sum())
    rare = min(int((hits > 0).sum()), int((hits < images).sum()))
    if rare < ENOUGH:
        return float(k)
    share = hits.sum() / n
    without = (hits.sum() - hits) / (n - images)
    variance = (k - 1) / k * float(((without - without.mean()) ** 2).sum())
    worth = share * (1 - share) / variance if variance > 0 else n
    price = intervals.t_quantile(1 - level, int(n) - 1) / intervals.t_quantile(1 - level, k - 1)
    return max(float(k), float(min(worth, n) * price**2))


def clopper_pearson(hits: float, n: float, level: float) -> tuple[float, float]:
    """Return the bounds of a binomial share, each wrong with probability ``level`` at most.

    ``hits`` and ``n`` need not be whole numbers.
    """
    low = beta_quantile(level, hits, n - hits + 1) if hits > 1e-9 else 0.0
    high = beta_quantile(1 - level, hits + 1, n - hits) if hits < n - 1e-9 else 1.0
    return low, high


@lru_cache(maxsize=4096)
def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the x with I_x(a, b) = p, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, a, b) < p else (low, middle)
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return I_x(a, b), the regularised incomplete beta function, by a continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x > 0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast in the other half
        return 1 - beta_cdf(1 - x, b, a)
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logs) / a * _fraction(x, a, b)


def _fraction(x: float, a: float, b: float) -> float:
    """Return 1 / (1 + d1 / (1 + d2 / (1 + ...))) by Lentz's method."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, 500):
        m = step // 2
        if step % 2:
            top = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            top = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _off_zero(1 + top * d)
        c = _off_zero(1 + top / c)
        value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return 1 / value


def _off_zero(x: float) -> float:
    return x if abs(x) > 1e-300 else 1e-300


def binomial(fewest: int, most: int, n: int, share: float) -> float:
    """Return P(fewest <= hits <= most) for a binomial number of hits."""
    if share <= 0 or share >= 1:
        return float(fewest <= (0 if share <= 0 else n) <= most)
    at_most = 1.0 if most >= n else 1 - beta_cdf(share, most + 1, n - most)
    return at_most - (0.0 if fewest <= 0 else 1 - beta_cdf(share, fewest, n - fewest + 1))


def more_prompts(
    share: float,
    prompts: int,
    limit: float,
    *,
    of_a_prompt: float = 1.0,
    tail: float = 0.025,
    most: int = 1000,
) -> int | None:
    """Return how many more prompts would probably put the exact interval on the share's side of ``limit``.

    "Probably" means in 80 % of the runs if ``share`` is the true share, and in all runs if it is 0.

    Args:
        share: The share measured.
        prompts: The number of prompts so far.
        limit: The limit.
        of_a_prompt: The number of independent images that a prompt counts as; see `worth`.
        tail: The chance that an end of the interval is wrong.
        most: The largest answer.

    Returns:
        The number, or None if it is more than ``most`` or the share is at the limit.
    """
    if share == limit:
        return None
    if share > limit:  # count the other kind of image instead
        share, limit = 1 - share, 1 - limit
    allowed = 0  # 0 to ``allowed`` - 1 hits leave the bound inside the limit
    for total in range(prompts + 1, prompts + most + 1):
        n = total * of_a_prompt
        while allowed < n and beta_cdf(1 - limit, n - allowed, allowed + 1) <= tail:  # P(that many or fewer)
            allowed += 1
        hits = allowed - 1
        if hits >= 0 and (share <= 0 or beta_cdf(1 - share, n - hits, hits + 1) >= POWER):
            return total - prompts
    return None
