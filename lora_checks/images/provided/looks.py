"""Check the pixels of pictures made elsewhere: none black, none twice, none unchanged by the LoRA."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import ImageSet, Sampler
from lora_checks.images import decoding


def sizes(made: ImageSet) -> list[tuple[int, int]]:
    """Return width and height of each picture.

    Raises:
        MeasureError: A picture cannot be decoded, is black, or has the pixels of another one; metadata and
            compression change a file's bytes without changing its pixels.
    """
    shapes, first = [], dict[str, Path]()
    for image in made.images:
        pixels = decoding.pixels_of(image)
        if not pixels.any():
            raise MeasureError(f"{image.path}: the picture is black; nothing can be measured on it")
        same = first.setdefault(hashlib.sha256(pixels.tobytes()).hexdigest() + str(pixels.shape), image.path)
        if same != image.path:
            both = " and ".join(sorted((same.name, image.path.name)))
            raise MeasureError(f"{image.path.parent}: {both} are the same picture; it would count twice")
        shapes.append((pixels.shape[1], pixels.shape[0]))
    return shapes


def unlike(sizes: Iterable[tuple[int, int]], asked: Sampler) -> str:
    """Return "4 not of 512 x 512 as in prompts.yaml (1024 x 1024)"; only a hint: trainers vary sizes."""
    others = [size for size in sizes if size != (asked.width, asked.height)]
    if not others:
        return ""
    example = " x ".join(map(str, others[0]))
    return f"{len(others)} not of {asked.width} x {asked.height} as in prompts.yaml ({example})"


def refuse_unchanged(made: ImageSet, without: ImageSet) -> None:
    """Raise `MeasureError` if a picture with the LoRA equals its counterpart without it."""
    for with_lora, base in zip(made.images, without.images, strict=True):
        same = with_lora.sha256 == base.sha256
        if same or np.array_equal(decoding.pixels_of(with_lora), decoding.pixels_of(base)):
            raise MeasureError(
                f"{base.path} shows what {with_lora.path} shows; one of them is not what it is taken for, "
                "with the LoRA or without"
            )
