"""Leases on a remote store: who is making what, until when. They save work; nothing relies on them.

A lease is an entry with an owner and an end, renewed while its owner lives. Whoever finds one that has ended
takes it. Two clocks that differ, or two who take one at once, cost an image made twice: the first one stored
stays, and both use it.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator

from lora_checks.core.errors import StoreError
from lora_checks.core.remote import Remote

FOLDER = "leases"
RUNS = "leases/run-"  # prefix of those that only say that a run is using the store
DOOR = "gc"  # held during garbage collection
SECONDS = 120.0  # that a lease lasts
RENEW_SECONDS = 30.0
ASK_SECONDS = 2.0  # between two attempts to take a lease that somebody holds


class Leases:
    """The leases of one process."""

    def __init__(self, remote: Remote, seconds: float = SECONDS) -> None:
        self._remote, self._seconds = remote, seconds
        self._owner = uuid.uuid4().hex
        self._held: set[str] = set()
        self._refused: dict[str, float] = {}  # when others' leases were seen last
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, name: str) -> bool:
        """Try to take a lease; return whether that succeeded."""
        path, now = f"{FOLDER}/{name}", time.monotonic()
        if now - self._refused.get(path, -ASK_SECONDS) < ASK_SECONDS:
            return False
        if not self._remote.put(path, self._content()) and not self._taken_over(path):
            self._refused[path] = now
            return False
        with self._lock:
            self._held.add(path)
            if self._thread is None:
                self._thread = threading.Thread(target=self._renew, name="leases", daemon=True)
                self._thread.start()
        return True

    def release(self, name: str) -> None:
        """Give a lease back. It ends by itself where that fails."""
        path = f"{FOLDER}/{name}"
        with self._lock:
            self._held.discard(path)
        with contextlib.suppress(StoreError):
            self._remote.delete(path)

    def use(self) -> None:
        """Say until `close` that a run is using the store, which keeps garbage collection away.

        Raises:
            StoreError: Garbage collection is at work. Each side says that it is here before it looks for the
                other, so that one of two who come at once sees the other.
        """
        self.take(f"{RUNS.removeprefix(FOLDER)[1:]}{self._owner}")
        with contextlib.suppress(FileNotFoundError):
            if lives(self._remote.get(f"{FOLDER}/{DOOR}")):
                raise StoreError(f"`store gc` is at work on {self._remote.url}; run again when it is done")

    def close(self) -> None:
        """Give all leases back."""
        self._end.set()
        for path in sorted(self._held):
            self.release(path.removeprefix(f"{FOLDER}/"))

    def _taken_over(self, path: str) -> bool:
        """Take a lease that has ended, or that is ours since an attempt whose reply was lost."""
        with contextlib.suppress(FileNotFoundError):
            owner, until = _read(self._remote.get(path))
            if owner == self._owner:
                return True
            if until > time.time():
                return False
            self._remote.delete(path)
        return self._remote.put(path, self._content())

    def _renew(self) -> None:
        while not self._end.wait(min(RENEW_SECONDS, self._seconds / 4)):
            for path in sorted(self._held):
                with contextlib.suppress(StoreError):
                    self._remote.put(path, self._content(), replace=True)
                    if path not in self._held:  # given back meanwhile
                        self._remote.delete(path)

    def _content(self) -> bytes:
        return json.dumps({"owner": self._owner, "until": time.time() + self._seconds}).encode()


@contextlib.contextmanager
def alone(remote: Remote) -> Iterator[None]:
    """Keep runs out of a store while garbage is collected.

    Raises:
        StoreError: A run is using the store, or another garbage collection is at work.
    """
    mine = Leases(remote)
    if not mine.take(DOOR):
        raise StoreError(f"another `store gc` is at work on {remote.url}; run again when it is done")
    try:
        if any(name.startswith(RUNS) for name in living(remote)):
            raise StoreError(
                f"{remote.url} is being used by a run; wait until it has ended (of one that was killed: "
                f"{SECONDS / 60:.0f} minutes)"
            )
        yield
    finally:
        mine.close()


def living(remote: Remote) -> Iterator[str]:
    """Yield the names of the leases that have not ended."""
    for entry in remote.entries(FOLDER):
        with contextlib.suppress(FileNotFoundError):
            if lives(remote.get(entry.name)):
                yield entry.name


def lives(content: bytes) -> bool:
    """Tell whether a lease with this content has not ended."""
    return _read(content)[1] > time.time()


def _read(content: bytes) -> tuple[str, float]:
    """Return owner and end of a lease; one that cannot be read has ended."""
    try:
        lease = json.loads(content)
        return str(lease["owner"]), float(lease["until"])
    except (ValueError, KeyError, TypeError):
        return "", 0.0
