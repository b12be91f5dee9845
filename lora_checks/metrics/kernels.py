"""How far apart are two distributions by a kernel (MMD)? Unbiased: few images give no larger value than many.

The squared maximum mean discrepancy of Gretton et al. 2012, eq. 3: E k(x, x') + E k(y, y') - 2 E k(x, y) over
pairs of different images. It can be slightly below zero where the distributions are equal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import ANY, metric
from lora_checks.metrics.mapped import once
from lora_checks.metrics.vectors import ROWS, Array, parts, refuse_unusable, two_sets, unit

INFINITY = float("inf")
SIGMA = 10.0  # of CMMD
SCALE = 1000.0  # of CMMD, for readable numbers
RANGE = (-INFINITY, INFINITY)
Prepared = Callable[[Array], NDArray[np.float64]]  # of rows, before the kernel
Kernel = Callable[[Array, Array], NDArray[np.float64]]  # (N, D), (M, D) -> (N, M)


@metric(extractor="inception", against="reference", per="set", better="lower", range=RANGE, unbiased=True)
def kid(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> kernel Inception distance (Binkowski et al. 2018), about 0 for equal distributions.

    Lower is closer. This is one estimate from all images. Packages average over subsets of 1,000 (or 100)
    images, which for small sets is the same set over and over; some print 1,000 times this number.
    """
    return polynomial(x, y)


@metric(extractor=ANY, against="reference", per="set", better="lower", range=RANGE, unbiased=True)
def polynomial_mmd(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> KID's formula on the network that the row names; lower is closer, 0 for equal."""
    return polynomial(x, y)


@metric(extractor="clip", against="reference", per="set", better="lower", range=RANGE, unbiased=True)
def cmmd(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> CMMD (Jayasumana et al. 2024), about 0 for equal distributions; lower is closer.

    It is 1,000 times the squared MMD of CLIP embeddings of length one under a Gaussian kernel of sigma 10.
    The published one is the biased estimate on CLIP ViT-L/14 at 336 pixels; see `cmmd_as_published`.
    """
    return gaussian(x, y)


@metric(extractor=ANY, against="reference", per="set", better="lower", range=RANGE, unbiased=True)
def rbf_mmd(x: Array, y: Array) -> float:
    """(N, D), (M, D) -> CMMD's formula, unbiased, on the network that the row names; lower is closer."""
    return gaussian(x, y)


def cmmd_as_published(x: Array, y: Array) -> float:
    """Return CMMD with each image also compared with itself, as in Google's code.

    That adds about 1,000 (1 - E k) (1/N + 1/M), so compare it at equal numbers only.
    """
    x, y = (unit(rows) for rows in two_sets(x, y, least=1))
    within = [_gaussian(rows, rows).mean() for rows in (x, y)]
    return float(SCALE * (sum(within) - 2 * _gaussian(x, y).mean()))


def polynomial(x: Array, y: Array) -> float:
    """Return the unbiased MMD^2 of the kernel (x.y / D + 1)^3."""
    refuse_unusable(x, y, least=2)
    return _unbiased("polynomial", _float64, _polynomial, x, y)


def gaussian(x: Array, y: Array) -> float:
    """Return 1,000 times the unbiased MMD^2 of directions under a Gaussian kernel of sigma 10."""
    refuse_unusable(x, y, least=2)
    return SCALE * _unbiased("gaussian", unit, _gaussian, x, y)


def _float64(x: Array) -> NDArray[np.float64]:
    return np.asarray(x, np.float64)


def _polynomial(x: Array, y: Array) -> NDArray[np.float64]:
    values: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1) ** 3
    return values


def _gaussian(x: Array, y: Array) -> NDArray[np.float64]:
    # For unit vectors, |a - b|^2 is 2 - 2ab.
    values: NDArray[np.float64] = np.exp((x @ y.T - 1) / SIGMA**2)
    return values


def _unbiased(name: str, prepared: Prepared, kernel: Kernel, x: Array, y: Array) -> float:
    """Return MMD^2 from all pairs, `ROWS` x `ROWS` of them at a time; no image is compared with itself."""

    def within(z: Array) -> float:
        return once(z, name, lambda: _within(prepared, kernel, z))

    return within(x) + within(y) - 2 * _between(prepared, kernel, x, y)


def _within(prepared: Prepared, kernel: Kernel, x: Array) -> float:
    """Return the mean of the kernel over pairs of different rows."""
    total = 0.0
    for i, part in enumerate(parts(x)):
        a = prepared(part)
        values = kernel(a, a)
        total += values.sum() - np.trace(values)
        for other in parts(x[(i + 1) * ROWS :]):
            total += 2 * kernel(a, prepared(other)).sum()
    return float(total / (len(x) * (len(x) - 1)))


def _between(prepared: Prepared, kernel: Kernel, x: Array, y: Array) -> float:
    """Return the mean of the kernel over all pairs."""
    if max(len(x), len(y)) <= ROWS:
        return float(kernel(prepared(x), prepared(y)).mean())
    total = 0.0
    for part in parts(x):
        a = prepared(part)
        total += sum(float(kernel(a, prepared(other)).sum()) for other in parts(y))
    return total / (len(x) * len(y))
