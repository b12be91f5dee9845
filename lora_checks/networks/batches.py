"""Always fill batches, so that a picture's features do not depend on what else is in its batch.

Matrix products of other sizes round differently: CLIP's features of one picture alone differ in the sixth
digit from those of the same picture among eight. So an interrupted run, or a store that lost a file, would
end in other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from lora_checks.networks import Floats

SIZE = 8  # at a time: memory does not grow with the number of pictures
T = TypeVar("T")


def in_batches(items: Sequence[T], run: Callable[[list[T]], Floats]) -> Floats:
    """Return a row per item; ``run`` gets `SIZE` items at a time, the last one repeated to fill a batch."""
    parts = []
    for start in range(0, len(items), SIZE):
        some = [items[i] for i in range(start, min(start + SIZE, len(items)))]
        parts.append(run(some + some[-1:] * (SIZE - len(some)))[: len(some)])
    return np.concatenate(parts)
