"""Compute intervals of means of two-valued images: such a mean is a share of images.

A metric that gives each image 1 or 0 has no spread if all images are alike, and a jackknife would call their
mean certain; yet with 5 % of images bad, 28 % of draws of 25 contain none. Its mean is the share of
images with the upper number, whose exact interval comes from `shares`.

The gain of such a metric is -1, 0 or 1 for each image, in units of the distance between its two numbers. Its
mean is the share of images that went up minus the share that went down. Each share has an exact interval at
half the error, and the interval joins the two ends that are farthest apart, so it is never too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lora_checks.stats import intervals, shares

Floats = NDArray[np.float64]
Points = tuple[float, float]
UNIT: Points = (0.0, 1.0)


def points(values: Floats, span: Points = UNIT) -> Points | None:
    """Return the only two values that occur, the lower first; None if there are not just two.

    If all values are equal, there is only one number. If it is an end of the metric's range, the other end is
    the second number; if it is 0 or 1, the second is 1 or 0. Any other single number is a constant.

    Args:
        values: (N,), with the LoRA and without.
        span: The metric's range.
    """
    distinct = np.unique(values)
    if not 0 < len(distinct) <= 2:
        return None
    for pair in (span, UNIT):
        if all(map(math.isfinite, pair)) and np.isin(distinct, pair).all():
            return pair
    return (float(distinct[0]), float(distinct[1])) if len(distinct) == 2 else None


def interval(
    values: Floats,
    pair: Points,
    groups: Sequence[str],
    confidence: float = intervals.CONFIDENCE,
    sides: int = 2,
) -> intervals.Interval | None:
    """Return the interval of the mean of ``values`` (N,), each one of ``pair``; see `shares.interval`."""
    low, high = pair
    share = shares.interval(values == high, groups, confidence=confidence, sides=sides)
    return None if share is None else intervals.Interval(*(low + (high - low) * end for end in share))


def gain_interval(
    moves: Floats,
    step: float,
    groups: Sequence[str],
    confidence: float = intervals.CONFIDENCE,
    sides: int = 2,
    *,
    most: int = 1,
) -> intervals.Interval | None:
    """Return the interval of the mean of ``moves``.

    If ``most`` is above 1, the length of a single move is unknown; each end takes the length that makes the
    interval wider.

    Args:
        moves: (N,), each 0 or up to ``most`` steps up or down.
        step: The distance between the metric's two numbers.
        groups: The prompt of each move, (N,).
        confidence: See `shares.interval`.
        sides: See `shares.interval`.
        most: The largest number of steps of a move.
    """
    level = 1 - (1 - confidence) / 2
    came = shares.interval(moves > 0, groups, confidence=level, sides=sides)
    went = shares.interval(moves < 0, groups, confidence=level, sides=sides)
    if came is None or went is None:
        return None
    low, high = came.low - most * went.high, most * came.high - went.low
    return intervals.Interval(float(moves.mean()), step * low, step * high)


def more_prompts_for_gain(
    moves: Floats, prompts: int, limit: float, *, tail: float = 0.025, most: int = 1000
) -> int | None:
    """Return how many more prompts would put the interval of `gain_interval` on one side of ``limit``.

    Assume that the shares of images that go up and down stay as in ``moves``, with one image per prompt.

    Args:
        moves: (N,), each 0 or a step up or down.
        prompts: The number of prompts so far.
        limit: The limit, in steps.
        tail: The chance that an end of the interval is wrong.
        most: The largest answer; the result is None if it takes more.
    """
    up, down = float((moves > 0).mean()), float((moves < 0).mean())

    def decides(total: int) -> bool:
        came, went = (shares.clopper_pearson(share * total, total, tail / 2) for share in (up, down))
        return came[0] - went[1] >= limit or came[1] - went[0] <= limit

    if not decides(prompts + most):
        return None
    return 1 + next(i for i in range(most) if decides(prompts + 1 + i))
