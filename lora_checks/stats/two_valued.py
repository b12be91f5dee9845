"""Means of values that are one of two numbers: such a mean is a share of images, and has a share's interval.

A metric that says 1 or 0 of each image has no spread where all images are alike, and a jackknife would call
their mean certain: with 5 % of images bad, 28 % of draws of 25 hold none. Its mean is the share of images at
the upper number, whose exact interval is that of `shares`.

The gain of such a metric is -1, 0 or 1 for each image, in units of the distance of its two numbers: the share
of images that came up less the share of those that went down. Each of the two has an exact interval at half
the error, and the two ends that are furthest apart hold together, so that the interval is never too narrow.
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
    """The two numbers that every value is one of, the lower one first; None where there are no two.

    ``span`` is the range of the metric. Values that are all alike tell one number only: at an end of the
    range the other end is the second, and 0 and 1 are taken for each other. Alike anywhere else they are a
    constant.
    """
    seen = np.unique(values)
    if not 0 < len(seen) <= 2:
        return None
    for pair in (span, UNIT):
        if all(map(math.isfinite, pair)) and np.isin(seen, pair).all():
            return pair
    return (float(seen[0]), float(seen[1])) if len(seen) == 2 else None


def interval(
    values: Floats,
    pair: Points,
    groups: Sequence[str],
    confidence: float = intervals.CONFIDENCE,
    sides: int = 2,
) -> intervals.Interval | None:
    """Of the mean of ``values`` (N,), each of them one of ``pair``; the rest is as in `shares.interval`."""
    low, high = pair
    found = shares.interval(values == high, groups, confidence=confidence, sides=sides)
    return None if found is None else intervals.Interval(*(low + (high - low) * share for share in found))


def gain_interval(
    moves: Floats,
    step: float,
    groups: Sequence[str],
    confidence: float = intervals.CONFIDENCE,
    sides: int = 2,
    *,
    most: int = 1,
) -> intervals.Interval | None:
    """Of the mean of ``moves`` (N,), each of them 0 or up to ``most`` steps up or down.

    A move of unknown length is taken for the longest where that makes the interval wider, and for one step
    where that does.
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
    """How many more prompts would put the interval of `gain_interval` on one side of ``limit``, in steps.

    Where as large a share of images goes up and down as in ``moves``, and each prompt counts as one of them.
    """
    up, down = float((moves > 0).mean()), float((moves < 0).mean())

    def decides(total: int) -> bool:
        came, went = (shares.clopper_pearson(share * total, total, tail / 2) for share in (up, down))
        return came[0] - went[1] >= limit or came[1] - went[0] <= limit

    if not decides(prompts + most):
        return None
    return 1 + next(i for i in range(most) if decides(prompts + 1 + i))
