"""Keep a local folder and a remote store the same, entry by entry.

What is new waits in the folder's outbox until the server has it, and only then appears in the folder: what
one process can see, all machines can see. A run that is killed leaves its outbox to the next one.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from lora_checks.core.files import PART, write_atomically
from lora_checks.core.remote import Remote
from lora_checks.core.remote.sound import is_sound

OUTBOX = "outbox"  # folder of the cache: entries that the server does not have yet
SHARED = ("images", "arrays", "proofs", "loaders", "preflight", "settings", "self_test")  # what is shared
AT_ONCE = 16  # requests of a process
TORN = 3  # times that an entry is read before it is taken for damaged
AGAIN_SECONDS = 2.0  # between two questions for an entry that another machine is making


class Mirror:
    """The local folder ``root`` of a remote store. Methods raise `StoreError` and `OSError`."""

    def __init__(self, root: Path, remote: Remote, say: Callable[[str], None]) -> None:
        self.root, self.remote, self.say = root, remote, say
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="remote")
        self._lock = threading.Lock()
        self._sending: dict[str, Future[None]] = {}
        self._asked: dict[str, float] = {}  # when the server said that it has no such entry

    def name(self, path: Path) -> str:
        """Return an entry's name on the server; "" if it stays on this machine."""
        parts = path.relative_to(self.root).parts if path.is_relative_to(self.root) else ()
        return "/".join(parts) if parts and parts[0] in SHARED else ""

    def bring(self, paths: Iterable[Path], fresh: bool = True) -> None:
        """Fetch those of ``paths`` that are missing here and exist there.

        Args:
            paths: Entries of the folder.
            fresh: False to leave out those for which the server was asked a moment ago.
        """
        now = time.monotonic()
        wanted = []
        for path in dict.fromkeys(paths):
            name = self.name(path)
            if not name or self.is_sending(path) or _touched(path):
                continue
            if fresh or now - self._asked.get(name, -AGAIN_SECONDS) >= AGAIN_SECONDS:
                wanted.append(path)
        for _ in self._pool.map(self._fetch, wanted):
            pass

    def have(self, paths: Sequence[Path]) -> list[bool]:
        """Return whether each entry is here or there, without fetching it."""
        return list(self._pool.map(self._has, paths))

    def send(self, path: Path, content: bytes) -> bool:
        """Begin to store an entry, which appears at ``path`` when the server has it; see `settle`.

        Returns:
            False if the entry exists, or is being sent.
        """
        name = self.name(path)
        if path.exists():
            return False
        with self._lock:
            if name in self._sending:
                return False
            waiting = self._outbox(name)
            write_atomically(waiting, content)
            self._sending[name] = self._pool.submit(self._deliver, name, content)
        return True

    def is_sending(self, path: Path) -> bool:
        return self.name(path) in self._sending

    def settle(self) -> None:
        """Wait until everything that was sent is stored. Raises the first `StoreError` of them."""
        with self._lock:
            sending = dict(self._sending)
        troubles = [future.exception() for future in sending.values()]  # waits for all
        with self._lock:  # only now: another thread that settles has to wait for them, too
            for name, future in sending.items():
                if self._sending.get(name) is future:
                    del self._sending[name]
        for error in troubles:
            if error is not None:
                raise error

    def resume(self) -> None:
        """Send what earlier runs could not send."""
        for waiting in sorted((self.root / OUTBOX).glob("*")):
            name = waiting.name.replace("~", "/")
            if waiting.name.endswith(PART) or name in self._sending:
                continue
            with contextlib.suppress(FileNotFoundError):  # another run of this machine was faster
                content = waiting.read_bytes()
                if is_sound(name, content):
                    self._sending[name] = self._pool.submit(self._deliver, name, content)
                else:
                    waiting.unlink()
        self.settle()

    def restore(self, path: Path) -> bool:
        """Replace a damaged local entry by the server's; return whether there is another one."""
        name = self.name(path)
        there = self._read(name) if name else None
        if there is None or there == _bytes(path):
            return False
        write_atomically(path, there, durable=False)
        return True

    def remove_damaged(self, path: Path) -> None:
        """Delete a damaged entry here and, if its very bytes are there, there."""
        name, damaged = self.name(path), _bytes(path)
        path.unlink(missing_ok=True)
        if name and damaged is not None:
            with contextlib.suppress(FileNotFoundError):
                if self.remote.get(name) == damaged:
                    self.remote.delete(name)

    def _has(self, path: Path) -> bool:
        name = self.name(path)
        return path.exists() or bool(name and self.remote.has(name))

    def _fetch(self, path: Path) -> None:
        name = self.name(path)
        content = self._read(name)
        if content is None:
            self._asked[name] = time.monotonic()
        else:
            write_atomically(path, content, durable=False)  # it is sealed, and can be fetched again

    def _read(self, name: str) -> bytes | None:
        """Return an entry's content; None if there is none, or only a damaged one."""
        for _ in range(TORN):
            try:
                content = self.remote.get(name)
            except FileNotFoundError:
                return None
            if is_sound(name, content):
                return content
        return None

    def _deliver(self, name: str, content: bytes) -> None:
        """Put an entry on the server, or take the one that another writer put there first."""
        waiting, path = self._outbox(name), self.root / name
        if not self.remote.put(name, content):
            first = self._read(name)
            if first is None:
                self.say(f"{self.remote.url}/{name} is damaged and is replaced")
                self.remote.put(name, content, replace=True)
            elif first != content:
                write_atomically(waiting, first)
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process of this machine delivered it
            waiting.replace(path)

    def _outbox(self, name: str) -> Path:
        return self.root / OUTBOX / name.replace("/", "~")


def _touched(path: Path) -> bool:
    """Tell whether a file exists, and note that it was used; disks are often mounted without such notes."""
    try:
        status = path.stat()
        os.utime(path, ns=(time.time_ns(), status.st_mtime_ns))
    except OSError:
        return path.exists()
    return True


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
