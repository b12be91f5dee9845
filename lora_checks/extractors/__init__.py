"""Networks by slot name. Each lives in a file of its own and is imported only when it runs.

Constructing an extractor is cheap and torch-free: it checks that the weights are on this machine (else
`PrerequisiteError` says what to install or download where) and fixes ``id``. The network itself is
loaded by the first call that needs it, so a run whose features are all stored never imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from lora_checks.errors import ConfigError

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB, 0..255
Floats = NDArray[np.float32]


class Extractor(Protocol):
    """What every network offers: an identity, and a name for people."""

    id: str  # name, settings, preprocessing version and digest of the weights
    label: str  # "CLIP ViT-B/32 (openai)"


@runtime_checkable
class ImageExtractor(Extractor, Protocol):
    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """(N, D) float32, one row an image; a row of NaN where the image has nothing to measure."""


@runtime_checkable
class TextExtractor(Extractor, Protocol):
    def texts(self, texts: Sequence[str]) -> Floats:
        """(N, D) float32 in the space of ``images``; `MeasureError` where a text exceeds the token limit."""


@runtime_checkable
class PairExtractor(Extractor, Protocol):
    """A network whose result belongs to a pair of images (LPIPS)."""

    def distances(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """(N, M) float32: every x against every y. Sequences may decode lazily and are never all held."""

    def paired(self, x: Sequence[Pixels], y: Sequence[Pixels]) -> Floats:
        """(N,) float32: x[i] against y[i]; the lengths must be equal."""


KINDS = {
    "clip": "lora_checks.extractors.clip:Clip",
    "inception": "lora_checks.extractors.inception:Inception",
    "arcface": "lora_checks.extractors.arcface:ArcFace",
    "lpips": "lora_checks.extractors.lpips:Lpips",
    "trunk": "lora_checks.extractors.trunk:Trunk",
}


def build(slot: str, settings: Mapping[str, Any], device: str, cache: Path | None = None) -> Extractor:
    """The extractor for a slot of the policy's ``networks:``; ``kind:`` defaults to the slot's own name.

    ``cache`` is a folder for what a network can keep of its own making, such as a faster form of itself.
    """
    settings = dict(settings)
    kind = settings.pop("kind", slot)
    if kind not in KINDS:
        raise ConfigError(f"networks: {slot}: unknown kind '{kind}'; known: {', '.join(sorted(KINDS))}")
    module, _, name = KINDS[kind].partition(":")
    extractor: Extractor = getattr(import_module(module), name)(settings, device, cache=cache)
    return extractor
