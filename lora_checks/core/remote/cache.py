"""Keep the local cache of a remote store within its limit: what was used least recently goes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lora_checks.core.errors import StoreError
from lora_checks.core.remote.mirror import SHARED

if TYPE_CHECKING:
    from lora_checks.core.store import Store


@dataclass(frozen=True, slots=True)
class Cached:
    """A file of the cache that the server has, too."""

    used: float  # seconds since 1970
    size: int  # bytes
    path: Path


def trim(store: Store, limit: int) -> list[Path]:
    """Drop entries until those that remain take at most ``limit`` bytes; return the dropped ones.

    Nothing is dropped while another run uses the cache: it does so when it ends.
    """
    with contextlib.suppress(StoreError), store.locks.alone():
        chosen = list(beyond(sorted(entries(store.root), key=lambda entry: -entry.used), limit))
        store.remove(chosen)
        return chosen
    return []


def beyond(newest_first: list[Cached], limit: int) -> Iterator[Path]:
    """Yield the paths of the entries that do not fit any more."""
    total = 0
    for entry in newest_first:
        total += entry.size
        if total > limit:
            yield entry.path


def entries(root: Path) -> Iterator[Cached]:
    """Yield every file of the cache that can be fetched again."""
    for kind in SHARED:
        for path in (root / kind).rglob("*"):
            if path.is_file() and path.name[0] != ".":
                status = path.stat()
                yield Cached(status.st_atime, status.st_size, path)
