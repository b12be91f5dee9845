"""Measure how much detail pictures have at each scale: power by radial frequency."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

BINS = 48  # at most; from one cycle a picture to half a cycle a pixel
MOST = 64  # pictures used from a set
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def radial(pixels: Pixels, side: int) -> Floats | None:
    """Return (B,) log10 power by frequency of the middle square, scaled down to ``side`` px.

    Returns None for a smaller picture, which has no detail at that scale.
    """
    square = _square(pixels)
    if len(square) < side:
        return None
    if len(square) > side:
        square = np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))
    grey = (square.astype(np.float32) @ LUMA) / 255
    window, ring, count = _rings(side)
    power = np.abs(np.fft.rfft2((grey - grey.mean()) * window)) ** 2 / (window**2).sum()
    mean = np.bincount(ring.ravel(), power.ravel(), minlength=len(count) + 1)[: len(count)] / count
    log_power: Floats = np.log10(mean + 1e-10)
    return log_power


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


def _square(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


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
def _rings(side: int) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    """Return the window (S, S), each coefficient's ring (S, S // 2 + 1), and the count per ring."""
    hann = np.hanning(side).astype(np.float32)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    edges = _edges(side)
    ring = np.digitize(radius, edges) - 1
    outside = (ring < 0) | (ring >= len(edges) - 1)
    ring = np.where(outside, len(edges) - 1, ring)
    count = np.bincount(ring.ravel(), minlength=len(edges))[: len(edges) - 1].astype(float)
    return np.outer(hann, hann), ring, np.maximum(count, 1)
