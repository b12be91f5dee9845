"""Give pictures the features of their frequencies: how much power they have at each, without any weights.

There are five rings to the octave, counted down from half a cycle a pixel, so that a feature means the same
frequency for pictures of every size. Of each the mean power is taken, in decibels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.images.decoding import Pixels
from lora_checks.images.spectrum import LEAST, power, radius, scaled
from lora_checks.networks import Floats
from lora_checks.networks.weights import check_keys, identity

OCTAVES, PARTS = 5, 5  # 1/64 to 1/2 cycles per pixel; what is coarser is the picture's composition
EDGES = 0.5 * 2.0 ** -(np.arange(OCTAVES * PARTS, -1, -1) / PARTS)  # of the rings, ascending
SMALLEST, LARGEST = 64, 4096  # sides in pixels


class Spectrum:
    """The power of pictures by frequency.

    Settings: ``side`` (512), in pixels of the middle square of a picture, scaled down to it: that of the
    generated images, so that references of more pixels are compared at the same scale; ``name`` for people.
    """

    def __init__(self, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> None:  # noqa: ARG002
        check_keys("spectrum", settings, {"side", "name"})
        side = settings.get("side", 512)
        if isinstance(side, bool) or not isinstance(side, int) or not SMALLEST <= side <= LARGEST:
            raise ConfigError(
                f"networks: spectrum: side: must be a whole number from {SMALLEST} to {LARGEST}, not {side!r}"
            )
        self.least = side
        self.id = identity("spectrum", "1", {"side": side}, ())
        self.label = str(settings.get("name", f"spectrum of {side} px"))

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, 25) float32: the power of each ring in dB, from coarse to fine."""
        return np.stack([self._row(picture) for picture in pixels])

    def _row(self, picture: Pixels) -> Floats:
        middle = scaled(picture, self.least)
        if middle is None:
            raise MeasureError(
                f"a picture of {picture.shape[1]} x {picture.shape[0]} pixels has no spectrum at "
                f"{self.least} px; under networks: give the spectrum the `side` of the smallest picture"
            )
        spectrum = power(middle).ravel()
        means = [float(spectrum[at] @ weights) for at, weights in _rings(self.least)]
        return np.asarray(10 * np.log10(np.array(means) + LEAST), np.float32)


@lru_cache(maxsize=4)
def _rings(side: int) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Return which coefficients each ring averages, with their weights, whose sum is 1.

    A coefficient stands for one step of the transform, 1/S, around its frequency; what of that lies within
    the ring is its weight. So a ring narrower than a step has a value, too.
    """
    frequency, half = radius(side).ravel(), 0.5 / side
    rings = []
    for low, high in pairwise(EDGES):
        inside = np.minimum(frequency + half, high) - np.maximum(frequency - half, low)
        at = np.flatnonzero(inside > 0)
        rings.append((at, (inside[at] / inside[at].sum()).astype(np.float32)))
    return rings
