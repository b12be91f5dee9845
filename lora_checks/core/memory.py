"""Return freed memory to the operating system, and ask it how much is left."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from pathlib import Path

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")  # as a container sees its own


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


def available() -> int | None:
    """Return the bytes that a process can still take, swap included; None where the system does not say.

    Linux says it in /proc/meminfo; a container's limit may be lower.
    """
    try:
        lines = (PROC / "meminfo").read_text(encoding="ascii").splitlines()
        sizes = {line.partition(":")[0]: 1024 * int(line.split()[1]) for line in lines}
        free = sizes["MemAvailable"] + sizes.get("SwapFree", 0)
    except (OSError, KeyError, ValueError, IndexError):
        return None
    limit = _of_container()
    return free if limit is None else min(free, limit)


def _of_container() -> int | None:
    """Return what the container's limit leaves (cgroup 2); file pages do not count, they can be dropped."""
    try:
        limit = int((CGROUP / "memory.max").read_text(encoding="ascii"))
        used = int((CGROUP / "memory.current").read_text(encoding="ascii"))
        rows = (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
        pages = dict(row.split() for row in rows).get("file", "0")
        return max(0, limit - used + int(pages))
    except (OSError, ValueError):  # "max", or no container
        return None


def gib(size: int) -> str:
    """Return a number of bytes for people: "6.3 GiB"; below 100 MiB in MiB."""
    return f"{size / 2**30:.1f} GiB" if size >= 100 << 20 else f"{size / 2**20:.1f} MiB"
