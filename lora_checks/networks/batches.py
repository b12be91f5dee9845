"""Batches that are always full, so that what a network says of a picture does not depend on its company.

Matrix products of other sizes round otherwise: of one picture alone CLIP says something else, in the sixth
digit, than of the same picture among eight. A run that was interrupted, or a store that has lost a file,
would then end in other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lora_checks.networks import Floats

SIZE = 8  # at a time: memory does not grow with the number of pictures
T = TypeVar("T")


def in_batches(items: Sequence[T], run: Callable[[list[T]], Floats]) -> Floats:
    """Rows of ``items``, of which ``run`` gets `SIZE` at a time; the last one is repeated to fill a batch."""
    parts = []
    for start in range(0, len(items), SIZE):
        some = [items[i] for i in range(start, min(start + SIZE, len(items)))]
        parts.append(run(some + some[-1:] * (SIZE - len(some)))[: len(some)])
    return np.concatenate(parts)
