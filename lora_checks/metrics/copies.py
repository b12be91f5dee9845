"""Has it learned the subject, or the training pictures?

Near is relative: two real photos of one person may be alike, too. So the distance from an image to the
nearest training picture is compared with the distance from that picture to its nearest other training
picture, as in the definition of authenticity (Alaa et al. 2022). Distances are Euclidean, between embeddings
of length one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics import ANY, metric
from lora_checks.metrics.vectors import Array, distances, unit

INFINITY = float("inf")


@metric(extractor=ANY, against="reference", per="image", better="higher", range=(0, INFINITY))
def copy_ratio(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N,) d(image, nearest training picture) / d(that picture, its nearest other one).

    0 is a copy. Below 1, the image is closer to a training picture than any other training picture is.
    Higher is further from copying. NaN where the image has no embedding.
    """
    x, y = unit(x), unit(y)
    if len(y) < 2:
        raise MeasureError(
            f"this metric compares training pictures with each other, so it needs 2 or more, not {len(y)}"
        )
    among = distances(y, y)
    np.fill_diagonal(among, INFINITY)
    usable = np.isfinite(x).all(axis=1)
    to_training = distances(x[usable], y)
    nearest = to_training.argmin(axis=1)
    to_other_training = among[nearest].min(axis=1)
    if (to_other_training == 0).any():
        raise MeasureError("two training pictures are equal; remove one of them")
    ratio = np.full(len(x), np.nan)
    ratio[usable] = to_training.min(axis=1) / to_other_training
    return ratio


@metric(extractor=ANY, against="reference", per="image", better="higher", range=(0, 1), two_valued=True)
def authenticity(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N,) 1 where the ratio of `copy_ratio` is above 1, else 0; the mean is AuthPct.

    Higher is further from copying. NaN without an embedding.
    """
    ratio = copy_ratio(x, y)
    return np.where(np.isnan(ratio), np.nan, ratio > 1)
