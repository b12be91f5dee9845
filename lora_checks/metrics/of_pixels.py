"""A metric of pixels in the place of a network: what it says of each picture or pair is stored likewise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Metric
from lora_checks.images.decoding import DECODER, Pixels
from lora_checks.metrics import BUILTIN
from lora_checks.metrics.function import code, one_number
from lora_checks.networks.resize import resized


class OfPixels:
    """``takes="picture"``: one number a picture. ``takes="pair"``: one of two, the second scaled to the
    first's size (PIL bicubic) where they differ. A user's function is part of the identity: what is stored
    must not outlive it."""

    label = "pixels"

    def __init__(self, metric: Metric) -> None:
        self._fn = metric.fn
        self._name = metric.name
        own = "" if metric.name in BUILTIN else f" code={code(metric.fn)}"
        self.id = f"pixels {metric.name}/{metric.version} decoder={DECODER}{own}"

    def _number(self, *pictures: Pixels) -> float:
        return one_number(self._name, self._fn(*pictures))

    def images(self, pixels: Sequence[Pixels]) -> NDArray[np.float64]:
        """(N, 1) float64, as the function said it."""
        return np.array([[self._number(image)] for image in pixels], np.float64)

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> NDArray[np.float64]:
        """(N, M); x is decoded once, y once for each x."""
        return np.array([[self._number(a, resized(b, a.shape[:2])) for b in y] for a in x], np.float64)

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> NDArray[np.float64]:
        """(N,)."""
        if len(x) != len(y):
            raise MeasureError(f"pairs need equally many images on both sides, not {len(x)} and {len(y)}")
        pairs = zip(x, y, strict=True)
        return np.array([self._number(a, resized(b, a.shape[:2])) for a, b in pairs], np.float64)
