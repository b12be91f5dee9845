"""A metric of pixels in the place of a network: what it says of each picture or pair is stored likewise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lora_checks.errors import MeasureError
from lora_checks.extractors import Floats, Pixels
from lora_checks.extractors.resize import resized
from lora_checks.images import DECODER
from lora_checks.records import Metric


class OfPixels:
    """``takes="picture"``: one number a picture. ``takes="pair"``: one of two, the second scaled to the
    first's size (PIL bicubic) where they differ."""

    label = "pixels"

    def __init__(self, metric: Metric) -> None:
        self._fn = metric.fn
        self.id = f"pixels {metric.name}/{metric.version} decoder={DECODER}"

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """(N, 1) float32."""
        return np.array([[self._fn(image)] for image in pixels], np.float32)

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """(N, M) float32; x is decoded once, y once for each x."""
        return np.array([[self._fn(a, resized(b, a.shape[:2])) for b in y] for a in x], np.float32)

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """(N,) float32."""
        if len(x) != len(y):
            raise MeasureError(f"pairs need equally many images on both sides, not {len(x)} and {len(y)}")
        pairs = zip(x, y, strict=True)
        return np.array([self._fn(a, resized(b, a.shape[:2])) for a, b in pairs], np.float32)
