"""Return freed memory to the operating system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Make glibc return free memory from the middle of its heap; do nothing with another C library.

    By itself glibc returns only the end of its heap. After many large tensors were freed while small ones
    stay alive, most of the heap is free but none of it is returned.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
        return trim
    except (OSError, AttributeError, TypeError):  # no glibc
        return None
