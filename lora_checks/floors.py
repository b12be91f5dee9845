"""What a value cannot fall below: sets of the same distribution measured against each other.

A Frechet distance of few images is far above 0 even where nothing differs, so that a limit may ask for
what no LoRA can reach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
LEAST = 8  # pictures in a half
SPLITS = 8
LARGE = 512  # pictures from which on one split says as much, and more would take seconds


def floor(fn: Callable[[Floats, Floats], float], references: Floats, images: int) -> float | None:
    """What ``images`` perfect images would measure against ``references`` (M, D), at the least.

    The references are split at random into as many as there are images, or a half, and the rest; what the
    parts measure against each other is scaled from their sizes to the real ones by (1/N + 1/M). The bias of
    a Frechet distance falls no faster than that (concave in 1/N, and 0 at 0), so the result is on the safe
    side. None where a part would have fewer than `LEAST` pictures.
    """
    whole = len(references)
    part = min(images, whole // 2)
    if part < LEAST:
        return None
    rng, found = np.random.default_rng(0), []
    for _ in range(SPLITS if whole < LARGE else 1):
        order = rng.permutation(whole)
        found.append(fn(references[order[:part]], references[order[part:]]))
    sizes = (1 / images + 1 / whole) / (1 / part + 1 / (whole - part))
    return float(np.mean(found)) * sizes


def reseeded(fn: Callable[[Floats, Floats], float], x: Floats, groups: Sequence[str]) -> float | None:
    """What the images (N, D) measure against other seeds of the same prompts; None without two a prompt."""
    seen: dict[str, int] = {}
    turn = np.empty(len(groups), dtype=np.int64)
    for i, group in enumerate(groups):
        turn[i] = seen[group] = seen.get(group, -1) + 1
    if min(seen.values()) < 1:
        return None
    return float(fn(x[turn % 2 == 0], x[turn % 2 == 1]))
