"""Measure sets of one distribution against each other, to find what a distance cannot fall below.

A Frechet distance of few images is far above 0 even if nothing differs, so a limit may be out of reach for
every LoRA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.words import count, number

Floats = NDArray[np.floating]
LEAST = 8  # pictures in a half
SPLITS = 8
MOST_PICTURES = 64  # pictures that are compared with all others
MOST = 10_000  # pictures that are measured against each other
LARGE = 512  # pictures; from here on one split is enough, and more would take seconds


def floor(fn: Callable[[Floats, Floats], float], references: Floats, images: int) -> float | None:
    """Return the least that perfect images would measure against the references.

    The references are split at random into the rest and a part as large as the set of images, but at most
    half of the references. Their distance from each other is scaled to the real sizes by (1/N + 1/M). The
    bias of a Frechet distance falls no faster than that (it is concave in 1/N, and 0 at 0), so the result is
    on the safe side.

    Args:
        fn: The metric's function.
        references: Features, (M, D).
        images: The number of images.

    Returns:
        The value, or None if a part would have fewer than `LEAST` pictures.
    """
    parts, whole = split(fn, references, images), len(references)
    seen = min(whole, MOST)
    if not parts:
        return None
    part = min(images, seen // 2)
    sizes = (1 / images + 1 / whole) / (1 / part + 1 / (seen - part))
    return float(np.mean(parts)) * sizes


def unreachable(metric: str, limit: float, floor: float, images: int, against: str) -> str:
    """Say that a limit is below its floor."""
    least = number(floor, (limit,))
    return (
        f"{metric} {number(limit, (floor,))} cannot be reached with {count(images, 'image')}: {against} "
        f"measured against themselves give at least {least}; use kid, or more images on both sides"
    )


def split(fn: Callable[[Floats, Floats], float], x: Floats, most: int | None = None) -> list[float]:
    """Measure random parts of a set against the rest of it.

    Args:
        fn: The metric's function.
        x: The set, (N, D).
        most: Rows of a part; a part has at most half of the rows. Of a set of more than `MOST` rows, so
            many are drawn by a fixed seed.

    Returns:
        A value for each of several splits; none if a part would have fewer than `LEAST` rows.
    """
    rng, values = np.random.default_rng(0), list[float]()
    if len(x) > MOST:
        x = x[np.sort(rng.permutation(len(x))[:MOST])]
    whole = len(x)
    part = min(most or whole, whole // 2)
    if part < LEAST:
        return []
    for _ in range(SPLITS if whole < LARGE else 1):
        order = rng.permutation(whole)
        values.append(float(fn(x[order[:part]], x[order[part:]])))
    return values


def each_to_the_others(of_one: Callable[[Floats, Floats], Floats], pictures: Floats) -> Floats:
    """Measure each picture against all of the others.

    Args:
        of_one: The metric's function for one picture, (1, D), and the others.
        pictures: Features, (M, D).

    Returns:
        Up to `MOST_PICTURES` rows, for pictures that are evenly spread over the set.
    """
    picked = chosen(len(pictures))
    return np.stack([of_one(pictures[i : i + 1], np.delete(pictures, i, axis=0)) for i in picked])


def chosen(pictures: int, most: int = MOST_PICTURES) -> NDArray[np.int_]:
    """Return the indices of up to ``most`` of the pictures, evenly spread."""
    return np.linspace(0, pictures - 1, min(pictures, most, MOST_PICTURES)).astype(int)


def again(
    fn: Callable[[Floats, Floats], float], x: Floats, groups: Sequence[str]
) -> tuple[Literal["seeds", "halves", ""], list[float]]:
    """Measure the images against each other: by seeds or, if a prompt has only one image, by halves.

    Args:
        fn: The metric's function.
        x: Features of the images, (N, D).
        groups: The prompt of each image.

    Returns:
        How the images were divided ("" if they are too few), and the lowest and the highest value.
    """
    other_seeds = reseeded(fn, x, groups)
    if other_seeds is not None:
        return "seeds", [other_seeds]
    halves = split(fn, x)
    return ("halves", [min(halves), max(halves)]) if halves else ("", [])


def reseeded(fn: Callable[[Floats, Floats], float], x: Floats, groups: Sequence[str]) -> float | None:
    """Measure the images (N, D) against other seeds of the same prompts; None unless each prompt has two."""
    seen: dict[str, int] = {}
    turn = np.empty(len(groups), dtype=np.int64)
    for i, group in enumerate(groups):
        turn[i] = seen[group] = seen.get(group, -1) + 1
    if min(seen.values()) < 1:
        return None
    return float(fn(x[turn % 2 == 0], x[turn % 2 == 1]))
