"""Everything that was expensive to make, under one folder, at an address given by its content.

The one primitive is an atomic put-if-absent. A claim (an OS lock that dies with its process) tells
workers who makes what, so two of them share a job and a killed run leaves nothing to clean up.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from lora_checks.core.errors import StoreError
from lora_checks.core.files import write_if_absent
from lora_checks.core.records import digest

POLL_SECONDS = 0.05  # how often a worker looks whether another has finished

Make = Callable[[Sequence[int]], Iterable[bytes]]
Advance = Callable[[int], None]
Progress = Callable[[int], contextlib.AbstractContextManager[Advance]]


class Store:
    """A folder of images and arrays. Raises `StoreError` if it cannot be created or written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        with _explained(root):
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass  # a read-only store must be known before an hour of generation, not after

    def image(self, recipe: str) -> Path:
        return self.root / "images" / recipe[:2] / f"{recipe}.png"

    def array(self, *key: object) -> Path:
        name = digest(key)
        return self.root / "arrays" / name[:2] / f"{name}.npy"

    def put(self, path: Path, content: bytes) -> bool:
        """Write atomically unless something is there; True if this call wrote it."""
        with _explained(path):
            return write_if_absent(path, content)

    def append(self, path: Path, record: object) -> None:
        """One JSON line, durable when this returns."""
        with _explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, sort_keys=True) + "\n")
                file.flush()
                os.fsync(file.fileno())

    def fill(self, paths: Sequence[Path], make: Make, batch: int, progress: Progress | None = None) -> None:
        """Make what is missing at ``paths``, ``batch`` at a time, together with whoever else is at it.

        ``make`` gets indices into ``paths`` and yields their contents in that order; each is kept as
        soon as it is yielded. ``progress`` is told how many are missing and then of each one done, by
        whomever. Returns when every path exists. Errors of ``make`` end the call.
        """
        missing = [i for i, path in enumerate(paths) if not path.exists()]
        with (progress or _silent)(len(missing)) as advance:
            self._fill(paths, missing, make, batch, advance)

    def _fill(
        self, paths: Sequence[Path], missing: list[int], make: Make, batch: int, advance: Advance
    ) -> None:
        while missing:
            with contextlib.ExitStack() as claims:
                mine = self._claim([(i, paths[i]) for i in missing], batch, claims)
                for i, content in zip(mine, make(mine) if mine else (), strict=True):
                    self.put(paths[i], content)
                    advance(1)
            if not mine:
                time.sleep(POLL_SECONDS)
            still = [i for i in missing if not paths[i].exists()]
            advance(len(missing) - len(still) - len(mine))  # what others finished meanwhile
            missing = still

    def _claim(
        self, wanted: Sequence[tuple[int, Path]], most: int, claims: contextlib.ExitStack
    ) -> list[int]:
        mine: list[int] = []
        folder = self.root / "locks"
        with _explained(folder):
            folder.mkdir(exist_ok=True)
        for i, path in wanted:
            lock = FileLock(folder / f"{path.name}.lock")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            claims.callback(_release, lock)
            if not path.exists():  # it may have been finished between the look and the claim
                mine.append(i)
            if len(mine) == most:
                break
        return mine


@contextlib.contextmanager
def _silent(_total: int) -> Iterator[Advance]:
    yield lambda _done: None


def _release(lock: FileLock) -> None:
    # Removing the file while still holding it is safe here: whoever locks a leftover inode or a new file
    # looks again whether the result exists before making it.
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write to the store at {path}: {error.strerror or error}; "
            "free the disk or name another folder with --lora-store"
        ) from error


def to_npy(array: NDArray[np.floating[Any]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def from_npy(path: Path) -> NDArray[np.floating[Any]]:
    """Raises `StoreError` naming a damaged file, so that it can be deleted."""
    try:
        array: NDArray[np.floating[Any]] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"damaged file in the store: {path} ({error}); delete it and run again") from error
    return array


def from_json(path: Path) -> Any:
    """Raises `StoreError` naming a damaged file, so that it can be deleted."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"damaged file in the store: {path} ({error}); delete it and run again") from error
