"""Wrap a metric of pixels as a network, so that its results for pictures are stored the same way."""

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
    """Call a metric's function as if it were a network.

    With ``takes="picture"`` it gives a number for each picture, with ``takes="pair"`` one for two pictures,
    the second scaled to the size of the first (PIL bicubic). The code of a user's function is part of the
    identity, so that stored results do not outlive it.
    """

    label = "pixels"

    def __init__(self, metric: Metric) -> None:
        self._fn = metric.fn
        self._name = metric.name
        source = "" if metric.name in BUILTIN else f" code={code(metric.fn)}"
        self.id = f"pixels {metric.name}/{metric.version} decoder={DECODER}{source}"

    def _number(self, *pictures: Pixels) -> float:
        return one_number(self._name, self._fn(*pictures))

    def images(self, pixels: Sequence[Pixels]) -> NDArray[np.float64]:
        """Return the function's number for each picture, (N, 1)."""
        return np.array([[self._number(image)] for image in pixels], np.float64)

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> NDArray[np.float64]:
        """Return a number for each pair, (N, M); x is decoded once, y once for each x."""
        return np.array([[self._number(a, resized(b, a.shape[:2])) for b in y] for a in x], np.float64)

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> NDArray[np.float64]:
        """Return a number for each x[i] and y[i], (N,)."""
        if len(x) != len(y):
            raise MeasureError(f"pairs need equally many images on both sides, not {len(x)} and {len(y)}")
        pairs = zip(x, y, strict=True)
        return np.array([self._number(a, resized(b, a.shape[:2])) for a, b in pairs], np.float64)
