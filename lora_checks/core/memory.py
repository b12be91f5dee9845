"""Memory that is free and not given back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Let the allocator return what lies free between small tensors that stay.

    glibc returns the end of its heap alone: where many large tensors came and went while small ones were
    kept, most of its heap is free and none of it returned. Elsewhere this does nothing.
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
