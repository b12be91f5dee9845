"""A network that reads its features from a table, so that measurements have closed forms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lora_checks.core.records import Base, ImageFile, ImageSet, Prompt, PromptSet, Sampler

PROMPTS = PromptSet(
    base=Base("/base"),
    sampler=Sampler(1, 1.0, 8, 8),
    prompts=(Prompt("a", "photo of sks person, smiling"),),
    seeds=(1,),
    trigger="sks person",
    class_words="person",
)


class Table:
    """A network that knows the features of each grey level; counts what it is asked."""

    id = "table/1"
    label = "a table"

    def __init__(
        self, features: Mapping[int, Sequence[float]], texts: Mapping[str, Sequence[float]] | None = None
    ) -> None:
        self.features, self.words, self.asked = features, texts or {}, 0

    def images(self, pixels: Sequence[Any]) -> Any:
        self.asked += len(pixels)
        return np.array([self.features[int(image[0, 0, 0])] for image in pixels], np.float32)

    def texts(self, texts: Sequence[str]) -> Any:
        return np.array([self.words[text] for text in texts], np.float32)

    def distances(self, x: Sequence[Any], y: Sequence[Any]) -> Any:
        return np.abs(self.images(x) - self.images(y).T)

    def paired(self, x: Sequence[Any], y: Sequence[Any]) -> Any:
        return np.abs(self.images(x) - self.images(y))[:, 0]


def a_set(name: str, images: Sequence[ImageFile]) -> ImageSet:
    return ImageSet(name, tuple(images))


def cosine_row(*cosines: float) -> list[float]:
    """A unit vector with these cosines to the axes (the last axis takes the rest)."""
    return [*cosines, math.sqrt(max(0.0, 1 - sum(c * c for c in cosines)))]
