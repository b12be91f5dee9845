"""Measure whether raters agree with each other, and whether a measured value agrees with them.

All functions are of oriented answers about pairs: +1 the first is preferred, -1 the second, 0 a tie. Which
picture of a pair is "the first" means nothing, so each pair also counts turned around.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def krippendorff_alpha(values: Floats, level: Literal["nominal", "interval"]) -> float:
    """Return Krippendorff's alpha: 1 is perfect agreement, 0 that of chance; NaN if no two values differ.

    Args:
        values: (raters, units); NaN where a rater gave no value. A unit with one value does not count.
        level: Whether two different values are equally far apart, or by the square of their difference.

    "Computing Krippendorff's Alpha-Reliability", 2011.
    """
    units = [unit[~np.isnan(unit)] for unit in values.T]
    units = [unit for unit in units if len(unit) > 1]
    if not units:
        return math.nan
    everything = np.concatenate(units)
    n = len(everything)
    expected = _disagreement(everything, level) / (n * (n - 1))
    observed = sum(_disagreement(unit, level) / (len(unit) - 1) for unit in units) / n
    return 1 - observed / expected if expected > 0 else math.nan


def _disagreement(values: Floats, level: Literal["nominal", "interval"]) -> float:
    """Return the sum over all ordered pairs of the values, from how often each value occurs."""
    found, times = np.unique(values, return_counts=True)
    apart = found[:, None] - found[None, :]
    distance = (apart != 0).astype(np.float64) if level == "nominal" else apart**2
    return float(times @ distance @ times)


def alpha_of_pairs(answers: Floats) -> float:
    """Return Krippendorff's alpha of (raters, pairs) answers at interval level: a tie lies in the middle.

    Turning each pair around as well makes both sides equally frequent. Else raters who always agree that the
    first LoRA is better would have an alpha near 0, since no other answer would be expected of them.
    """
    return krippendorff_alpha(np.concatenate([answers, -answers], axis=1), "interval")


def ranks(values: Floats) -> Floats:
    """Return the ranks from 1; equal values share the mean of their ranks."""
    _, at, times = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(times) - (times - 1) / 2)[at])


def spearman(differences: Floats, answers: Floats) -> float:
    """Return Spearman's correlation of a value's differences with answers, (N,) each; NaN without spread."""
    x, y = (ranks(np.concatenate([one, -one])) for one in (differences, answers))
    x, y = x - x.mean(), y - y.mean()
    spread = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / spread if spread else math.nan


def auc(differences: Floats, answers: Floats) -> float:
    """Return the area under the ROC curve of a value's differences for the preferred side; NaN without one.

    It is the probability that a difference in favour of the preferred picture is larger than one against it,
    over all two pairs. Ties of raters do not count.
    """
    decided = answers != 0
    towards = np.sort((differences * np.sign(answers))[decided])
    if not len(towards):
        return math.nan
    # Turned around, each difference is also one of the other class: compare d_i with -d_j.
    below, to_end = (np.searchsorted(towards, -towards, side) for side in ("left", "right"))
    n = len(towards)
    larger = n - to_end
    return float((larger + 0.5 * (to_end - below)).sum()) / n**2
