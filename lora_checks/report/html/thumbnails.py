"""Encode thumbnails small enough that hundreds of them fit into one page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

SIZES = (320, 256, 224, 192, 160, 128, 96, 72)  # px of the longer side
BUDGET = 10_400_000  # bytes of all thumbnails: 13.9 MB as base64, so that a page stays below 15 MB
SAMPLE = 16  # pictures encoded to choose the size
SLACK = 1.08  # allowance for larger pictures outside the sample


def encode(pixels: Pixels, size: int) -> bytes:
    """Encode as WebP with ``size`` px on the longer side; smaller pictures keep size and detail."""
    image = Image.fromarray(pixels)
    quality = 90 if max(image.size) <= size else 78
    if max(image.size) > size:
        factor = size / max(image.size)
        smaller = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(smaller, Image.Resampling.LANCZOS, reducing_gap=2.0)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()


def choose_size(count: int, sample: Sequence[Pixels], budget: int = BUDGET) -> int:
    """Return the largest size at which ``count`` pictures like the sample stay within the budget."""
    if not sample:
        return SIZES[0]
    for size in SIZES:
        mean = sum(len(encode(pixels, size)) for pixels in sample) / len(sample)
        if mean * SLACK * count <= budget:
            return size
    return SIZES[-1]


def spread(count: int, most: int = SAMPLE) -> list[int]:
    """Return up to ``most`` evenly spaced numbers below ``count``."""
    return sorted({i * count // min(count, most) for i in range(min(count, most))})


def fitting(count: int, load: Callable[[int], Pixels | None], budget: int = BUDGET) -> int:
    """Choose the size for ``count`` pictures from a sample; ``load`` returns None for a missing picture."""
    sample = [pixels for pixels in (load(i) for i in spread(count)) if pixels is not None]
    return choose_size(count, sample, budget)
