"""How many images lie among the references (fidelity), and how many references do they reach (variety)?

Each picture is the centre of a ball whose radius is its distance to the k-th nearest picture of the same set:
k is 3 for precision and recall (Kynkäänniemi et al. 2019), and 5 for density and coverage (Naeem et al.
2020). A point is inside if its distance is less than the radius, as in Naeem's ``prdc``; Kynkäänniemi's
code has "not more than", which differs only if distances are equal, as among copies of one picture (radius
0: nothing is inside).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics import ANY, metric
from lora_checks.metrics.vectors import Array, distances, two_sets

INFINITY = float("inf")


@metric(extractor=ANY, against="reference", per="set", better="higher", range=(0, 1))
def precision(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> share of images inside a reference's ball, k = 3; higher is better."""
    return float((_from_references(x, y) < radii(y, 3)[:, None]).any(axis=0).mean())


@metric(extractor=ANY, against="reference", per="set", better="higher", range=(0, 1))
def recall(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> share of references inside some image's ball, k = 3.

    Higher is better. With unequal numbers it favours the larger set of images.
    """
    return float((_from_references(x, y) < radii(x, 3)).any(axis=1).mean())


@metric(extractor=ANY, against="reference", per="set", better="higher", range=(0, INFINITY))
def density(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> reference balls (k = 5) that an image lies in, over k; 1 for equal distributions.

    Higher is better. Unlike precision, it is not raised by a single outlying reference. Above 1, the images
    crowd where references are dense.
    """
    return float((_from_references(x, y) < radii(y, 5)[:, None]).sum(axis=0).mean() / 5)


@metric(extractor=ANY, against="reference", per="set", better="higher", range=(0, 1))
def coverage(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> share of references with an image in their own ball, k = 5; higher is better.

    Unlike recall, it is not raised by an outlying image. For equal distributions and numbers it is near 0.97.
    """
    return float((_from_references(x, y).min(axis=1) < radii(y, 5)).mean())


def _from_references(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (M, N) distances of the references to the images."""
    images, references = two_sets(x, y, least=1)
    return distances(references, images)


def radii(x: Array, k: int) -> NDArray[np.float64]:
    """(N, D) -> (N,) distance of each row to the k-th nearest other row."""
    x = two_sets(x, x, least=1)[0]
    if len(x) <= k:
        raise MeasureError(f"{k} nearest neighbours need more than {k} images, and there are {len(x)}")
    nearest: NDArray[np.float64] = np.partition(distances(x, x), k, axis=1)[:, k]
    return nearest
