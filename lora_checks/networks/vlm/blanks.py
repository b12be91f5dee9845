"""Pictures that show nothing, and two that differ in everything: what every vision model must tell apart."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file

FOLDER = "controls"  # of the store
SIDE = 64  # pixels of the coloured ones


def coloured(store: Store) -> tuple[ImageFile, ImageFile]:
    """Return a red and a blue picture."""
    red, blue = (np.full((SIDE, SIDE, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 0, 255)))
    return _kept(store, "red", red), _kept(store, "blue", blue)


def blanks(store: Store, width: int, height: int) -> tuple[ImageFile, ...]:
    """Return pictures of one size without anything in them: white, black, grey, and two of noise."""
    plain = {name: np.full((height, width, 3), level, np.uint8)
             for name, level in (("white", 255), ("black", 0), ("grey", 128))}  # fmt: skip
    noise = {f"noise{seed}": _noise(seed, width, height) for seed in (1, 2)}
    return tuple(_kept(store, f"{name}-{width}x{height}", pixels) for name, pixels in (plain | noise).items())


def _noise(seed: int, width: int, height: int) -> NDArray[np.uint8]:
    drawn = np.random.RandomState(seed).randint(0, 256, (height, width, 3))  # the same in every numpy
    return drawn.astype(np.uint8)


def _kept(store: Store, name: str, pixels: NDArray[np.uint8]) -> ImageFile:
    path = store.root / FOLDER / f"{name}.png"
    if not path.exists():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        store.put(path, buffer.getvalue())
    return image_file(path)
