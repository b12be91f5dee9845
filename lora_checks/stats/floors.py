"""What a value cannot fall below: sets of the same distribution measured against each other.

A Frechet distance of few images is far above 0 even where nothing differs, so that a limit may ask for
what no LoRA can reach.
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
MOST_PICTURES = 64  # that are held against the others
LARGE = 512  # pictures from which on one split says as much, and more would take seconds


def floor(fn: Callable[[Floats, Floats], float], references: Floats, images: int) -> float | None:
    """What ``images`` perfect images would measure against ``references`` (M, D), at the least.

    The references are split at random into as many as there are images, or a half, and the rest; what the
    parts measure against each other is scaled from their sizes to the real ones by (1/N + 1/M). The bias of
    a Frechet distance falls no faster than that (concave in 1/N, and 0 at 0), so the result is on the safe
    side. None where a part would have fewer than `LEAST` pictures.
    """
    found, whole = split(fn, references, images), len(references)
    if not found:
        return None
    part = min(images, whole // 2)
    sizes = (1 / images + 1 / whole) / (1 / part + 1 / (whole - part))
    return float(np.mean(found)) * sizes


def unreachable(metric: str, limit: float, floor: float, images: int, against: str) -> str:
    """The sentence about a limit below its floor."""
    return (
        f"{metric} {number(limit, (floor,))} cannot be reached with {count(images, 'image')}: {against} "
        f"against themselves give {number(floor, (limit,))} at least; use kid, or more images on both sides"
    )


def split(fn: Callable[[Floats, Floats], float], x: Floats, most: int | None = None) -> list[float]:
    """Random parts of (N, D), a half or ``most`` rows, each against the rest; none of fewer than `LEAST`."""
    whole = len(x)
    part = min(most or whole, whole // 2)
    if part < LEAST:
        return []
    rng, found = np.random.default_rng(0), list[float]()
    for _ in range(SPLITS if whole < LARGE else 1):
        order = rng.permutation(whole)
        found.append(float(fn(x[order[:part]], x[order[part:]])))
    return found


def each_to_the_others(of_one: Callable[[Floats, Floats], Floats], pictures: Floats) -> Floats:
    """(M, D) -> up to `MOST_PICTURES` rows: what each picture gives against all of the others."""
    picked = chosen(len(pictures))
    return np.stack([of_one(pictures[i : i + 1], np.delete(pictures, i, axis=0)) for i in picked])


def chosen(pictures: int, most: int = MOST_PICTURES) -> NDArray[np.int_]:
    """Indices of up to ``most`` of the pictures, evenly spread."""
    return np.linspace(0, pictures - 1, min(pictures, most, MOST_PICTURES)).astype(int)


def again(
    fn: Callable[[Floats, Floats], float], x: Floats, groups: Sequence[str]
) -> tuple[Literal["seeds", "halves", ""], list[float]]:
    """The LoRA against itself: its other seeds, or halves of its images where a prompt has one; and which."""
    other_seeds = reseeded(fn, x, groups)
    if other_seeds is not None:
        return "seeds", [other_seeds]
    found = split(fn, x)
    return ("halves", [min(found), max(found)]) if found else ("", [])


def reseeded(fn: Callable[[Floats, Floats], float], x: Floats, groups: Sequence[str]) -> float | None:
    """What the images (N, D) measure against other seeds of the same prompts; None without two a prompt."""
    seen: dict[str, int] = {}
    turn = np.empty(len(groups), dtype=np.int64)
    for i, group in enumerate(groups):
        turn[i] = seen[group] = seen.get(group, -1) + 1
    if min(seen.values()) < 1:
        return None
    return float(fn(x[turn % 2 == 0], x[turn % 2 == 1]))
