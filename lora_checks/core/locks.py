"""Locks on a store. They are OS locks, released when their process dies, so a killed run blocks nobody."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from lora_checks.core.errors import StoreError

WAIT_SECONDS = 10
DOOR = "gc.lock"  # held during garbage collection, and briefly by each run that starts


class Locks:
    """The lock files of a store, in their own folder. Methods raise `OSError` and `StoreError`."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "locks"
        self._use: FileLock | None = None

    def claim(self, name: str, claims: contextlib.ExitStack) -> bool:
        """Try to lock ``name`` until ``claims`` closes; return whether that succeeded."""
        lock = self._taken(self._file(f"{name}.lock"))
        if lock is not None:
            claims.callback(_release, lock)
        return lock is not None

    def enter(self) -> None:
        """Mark the store as in use until `leave`, which blocks garbage collection."""
        with self._door():
            handle, name = tempfile.mkstemp(dir=self.folder, prefix="run-", suffix=".lock")
            os.close(handle)
            self._use = self._taken(Path(name))

    def leave(self) -> None:
        """End what `enter` began."""
        if self._use is not None:
            _release(self._use)
        self._use = None

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep new runs out of the store. Raises `StoreError` if a run is using it."""
        with self._door():
            for path in sorted(self.folder.glob("run-*.lock")):
                lock = self._taken(path)
                if lock is None:
                    raise StoreError(
                        f"{self.root} is being used by a run ({path.name}); wait until it has ended"
                    )
                lock.release()
            yield

    def sweep(self) -> list[Path]:
        """Remove the lock files of dead processes; return their paths."""
        removed = []
        for path in sorted(self.folder.glob("*.lock")):
            with contextlib.suppress(OSError):
                lock = self._taken(path)
                if lock is not None:
                    _release(lock)
                    removed.append(path)
        return removed

    @contextlib.contextmanager
    def _door(self) -> Iterator[None]:
        lock = FileLock(self._file(DOOR))
        try:
            lock.acquire(timeout=WAIT_SECONDS)
        except Timeout:
            raise StoreError(f"`store gc` is at work on {self.root}; run again when it is done") from None
        try:
            yield
        finally:
            _release(lock)

    def _file(self, name: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        return self.folder / name

    @staticmethod
    def _taken(path: Path) -> FileLock | None:
        lock = FileLock(path)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock


def _release(lock: FileLock) -> None:
    # Removing the file while still holding it is safe here: a process that locks a leftover inode or a new
    # file checks again whether the result exists before making it.
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
