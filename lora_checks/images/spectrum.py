"""Compute how much power pictures have at each frequency, in cycles per pixel.

The middle square is weighted with a Hann window, so that its borders, which do not fit together, add nothing.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LEAST = 1e-10  # power added before the logarithm; rounding to 8 bits alone has 1.3e-6
FINE = 0.25  # cycles per pixel from which on detail is fine: the last octave


def square(pixels: Pixels) -> Pixels:
    """Return the middle square of (H, W, 3)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def scaled(pixels: Pixels, side: int) -> Pixels | None:
    """Return the middle square scaled down to (side, side, 3); None if the picture is smaller."""
    middle = square(pixels)
    if len(middle) < side:
        return None
    if len(middle) == side:
        return middle
    return np.asarray(Image.fromarray(middle).resize((side, side), Image.Resampling.LANCZOS))


def power(middle: Pixels) -> NDArray[np.float32]:
    """(S, S, 3) uint8 -> (S, S // 2 + 1) power of the luma in [0, 1], without its mean.

    White noise of deviation s has power s^2 everywhere; a wave of amplitude a has about a^2 S^2 / 9 at its
    frequency.
    """
    try:
        from scipy.fft import rfft2  # in float32 three times as fast as NumPy's
    except ImportError:  # a machine that only shows reports
        rfft2 = np.fft.rfft2

    grey = (middle.astype(np.float32) @ LUMA) / 255
    window = _window(len(middle))
    spectrum = np.abs(rfft2((grey - grey.mean()) * window)) ** 2
    return np.asarray(spectrum / (window**2).sum(), np.float32)


@lru_cache(maxsize=8)
def radius(side: int) -> Floats:
    """Return the frequency of each coefficient of `power`, (S, S // 2 + 1) in cycles per pixel."""
    frequency: Floats = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    return frequency


@lru_cache(maxsize=8)
def _window(side: int) -> NDArray[np.float32]:
    hann = np.hanning(side).astype(np.float32)
    return np.outer(hann, hann)
