"""Images of LoRAs as runs leave them in a store, made of noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lora_checks.core.device import library_versions
from lora_checks.core.records import ImageSpec, Prompt, Sampler
from lora_checks.core.store import Store, to_npy
from lora_checks.images import made, png
from lora_checks.images.plan import OWN_CODE
from lora_checks.images.png import to_png

NOW = (*library_versions(), OWN_CODE)
OLD = ("diffusers 0.1.0", *NOW[1:])
GOOD, BAD = "9c1e04" + "0" * 58, "b0b0b0" + "1" * 58


def spec(lora: str | None, seed: int, versions: tuple[str, ...] = NOW) -> ImageSpec:
    return ImageSpec(
        Prompt("red", "a red shirt"),
        seed,
        Sampler(4, 2.0, 8, 8),
        "base",
        lora,
        1.0,
        "float32",
        "cpu",
        versions,
    )


def paint(store: Store, one: ImageSpec, how: Mapping[str, Any] = {"batch": 1}) -> str:
    """An image, what a network says of it, and its line in the list; its SHA-256."""
    rng = np.random.default_rng(one.seed)
    path = store.image(one.digest)
    store.put(path, to_png(rng.integers(1, 255, (8, 8, 3), np.uint8), one, how))
    store.settle()
    sha256, _ = png.read(path)
    store.put(store.array("clip/1", sha256), to_npy(np.ones(3, np.float32)))
    made.note(store, one, how)
    return sha256
