"""Work on features that are mapped from a file, of which only a part should be in memory at a time."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
_KNOWN: dict[int, tuple[weakref.ref[Any], dict[str, Any]]] = {}


def once(array: Any, what: str, make: Callable[[], T]) -> T:
    """Return ``make()``; for a mapped file, which nothing changes, compute it once while the map lives.

    An interval asks for a metric's value dozens of times, with the same references each time.
    """
    if not isinstance(array, np.memmap) or array.flags.writeable:
        return make()
    place = id(array)
    known = _KNOWN.get(place)
    if known is None or known[0]() is not array:
        known = _KNOWN[place] = weakref.ref(array, lambda _: _KNOWN.pop(place, None)), {}
    values = known[1]
    if what not in values:
        values[what] = make()
    found: T = values[what]
    return found
