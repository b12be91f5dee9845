"""Measure how much detail pictures have at each scale: power by radial frequency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lora_checks.images.spectrum import FINE, LEAST, Floats, Pixels, power, radius, scaled

BINS = 48  # at most; from one cycle a picture to half a cycle a pixel
MOST, FEWEST = 64, 8  # pictures used from a set
ALL = 512  # from all sets together: with 40 LoRAs, 12 of each


def radial(pixels: Pixels, side: int) -> Floats | None:
    """Return (B,) log10 power by frequency of the middle square, scaled down to ``side`` px.

    Returns None for a smaller picture, which has no detail at that scale.
    """
    middle = scaled(pixels, side)
    if middle is None:
        return None
    ring, count = _rings(side)
    mean = np.bincount(ring.ravel(), power(middle).ravel(), minlength=len(count) + 1)[: len(count)] / count
    log_power: Floats = np.log10(mean + LEAST)
    return log_power


def fine(curve: Floats, side: int) -> float:
    """Return the mean of a curve's last octave, log10 power."""
    return float(np.mean(np.asarray(curve)[frequencies(side) >= FINE]))


def frequencies(side: int) -> Floats:
    """Return (B,) the middle of each ring in cycles per pixel."""
    edges = _edges(side)
    middles: Floats = np.sqrt(edges[:-1] * edges[1:])
    return middles


def mean_and_spread(curves: Sequence[Floats]) -> tuple[Floats, Floats, Floats]:
    """Return (B,) mean, 10 % and 90 % quantiles over pictures."""
    stack = np.stack(curves)
    low, high = np.quantile(stack, [0.1, 0.9], axis=0)
    return stack.mean(axis=0), low, high


def _edges(side: int) -> Floats:
    """Return edges of rings of equal logarithmic width, at least one step of the transform wide."""
    wanted = np.geomspace(1 / side, 0.5, BINS + 1)
    edges = [wanted[0]]
    for edge in wanted[1:]:
        if edge - edges[-1] >= 1 / side:
            edges.append(edge)
    edges[-1] = 0.5
    return np.array(edges)


@lru_cache(maxsize=8)
def _rings(side: int) -> tuple[NDArray[np.int64], Floats]:
    """Return each coefficient's ring (S, S // 2 + 1), and the count per ring."""
    edges = _edges(side)
    ring = np.digitize(radius(side), edges) - 1
    outside = (ring < 0) | (ring >= len(edges) - 1)
    ring = np.where(outside, len(edges) - 1, ring)
    count = np.bincount(ring.ravel(), minlength=len(edges))[: len(edges) - 1].astype(float)
    return ring, np.maximum(count, 1)
