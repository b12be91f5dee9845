"""Cache a network's vectors for pictures, to reuse them in the next pair with the same picture.

LPIPS needs 10 MB for a picture of 512 x 512: too much for the store, and too slow to compute again for each
pair, since the same images are compared with references, with training pictures and with each other. So
vectors are cached in memory up to a share of what is free, then in temporary files up to a limit, and
computed again beyond that.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lora_checks.core import memory
from lora_checks.images.decoding import Pixels

if TYPE_CHECKING:
    from torch import Tensor

HELD_BYTES = 512 << 20  # in memory, however little is free
MOST_HELD = 2 << 30  # in memory, however much is free
SHARE = 8  # the part of the free memory that vectors may fill: an eighth
SPILLED_BYTES = 8 << 30  # in temporary files, at most


class Kept:
    """Vectors by picture; the least recently used is dropped first."""

    def __init__(self) -> None:
        self.held: OrderedDict[str, Tensor] = OrderedDict()
        self.spilled: OrderedDict[str, int] = OrderedDict()  # bytes of each
        self._bytes = 0  # of `held`

    def get(self, key: str, make: Callable[[], Tensor]) -> Tensor:
        """Return the vector of a key, on the CPU; call ``make`` if it is not in the cache."""
        if key in self.held:
            self.held.move_to_end(key)
            return self.held[key]
        if key in self.spilled:
            import torch

            self.spilled.move_to_end(key)
            # Mapped: what the system still has in memory is not copied.
            return torch.from_numpy(np.load(self._path(key), mmap_mode="c"))
        vector = self.held[key] = make()
        self._bytes += _bytes(vector)
        while len(self.held) > 1 and self._bytes > self._most:
            oldest, dropped = self.held.popitem(last=False)
            self._bytes -= _bytes(dropped)
            self._spill(oldest, dropped)
        return vector

    def __contains__(self, key: str) -> bool:
        return key in self.held or key in self.spilled

    def _spill(self, key: str, vector: Tensor) -> None:
        if _bytes(vector) > self._room:
            return
        while sum(self.spilled.values()) + _bytes(vector) > self._room:
            oldest, _ = self.spilled.popitem(last=False)
            self._path(oldest).unlink()
        try:
            np.save(self._path(key), vector.numpy())
        except OSError:  # a full disk costs time, not the run
            self._path(key).unlink(missing_ok=True)
            return
        self.spilled[key] = _bytes(vector)

    @cached_property
    def _most(self) -> int:
        return held_bytes(memory.available())

    @cached_property
    def _folder(self) -> tempfile.TemporaryDirectory[str]:
        return tempfile.TemporaryDirectory(prefix="lora_checks-", ignore_cleanup_errors=True)

    @cached_property
    def _room(self) -> int:
        """Return a quarter of the free space: the folder may be in memory, and other programs use it too."""
        return min(SPILLED_BYTES, shutil.disk_usage(self._folder.name).free // 4)

    def _path(self, key: str) -> Path:
        return Path(self._folder.name, f"{key}.npy")


def held_bytes(free: int | None) -> int:
    """Return how many bytes of vectors are held where ``free`` bytes of memory are; None is not known."""
    return max(HELD_BYTES, min(MOST_HELD, (free or 0) // SHARE))


def key_of(image: Pixels) -> str:
    """Return a digest of the pixels and their shape."""
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()


def _bytes(vector: Tensor) -> int:
    return vector.numel() * vector.element_size()
