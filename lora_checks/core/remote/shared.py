"""A store that several machines share: a local folder as every caller knows it, in front of a server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core import seals
from lora_checks.core.errors import DamagedError, StoreError
from lora_checks.core.records import digest
from lora_checks.core.remote import cache, open_remote
from lora_checks.core.remote.leases import Leases
from lora_checks.core.remote.mirror import Mirror
from lora_checks.core.remote.place import Place
from lora_checks.core.remote.retries import Patience
from lora_checks.core.store import Store, explained, read_record

MARK = "lora-checks-store.json"
BRIEF = Patience(attempts=4)  # for the first question: a URL with a mistake is said at once


class SharedStore(Store):
    """A `Store` whose entries are also on a server. Raises `StoreError` as that does."""

    def __init__(
        self, place: Place, say: Callable[[str], None] = lambda _: None, leases: bool = True
    ) -> None:
        super().__init__(place.root, say)
        self.place, self.url = place, place.url
        self.shown = place.shown
        self.remote = open_remote(place.url)
        self.mirror = Mirror(self.root, self.remote, say)
        self._leases = Leases(self.remote) if leases else None

    def enter(self) -> None:
        """Begin a run: find out whether the server can be written, and send what earlier runs could not."""
        super().enter()
        self._try()
        with explained(self.root):
            self.mirror.resume()
        if self._leases is not None:
            self._leases.use()

    def leave(self) -> None:
        """End a run: everything is stored, and the cache is within its limit."""
        try:
            with explained(self.root):
                self.mirror.settle()
        finally:
            if self._leases is not None:
                self._leases.close()
            super().leave()
            if self.place.limit is not None:
                cache.trim(self, self.place.limit)

    def is_begun(self) -> bool:
        """Return whether the server has this store. Raises `StoreError` if it cannot be asked."""
        return open_remote(self.url, BRIEF).has(MARK)

    def _try(self) -> None:
        """Refuse a server that cannot be written, or that overwrites what should stay."""
        remote = open_remote(self.url, BRIEF)
        content = json.dumps({"store": "lora_checks", "version": 1}).encode()
        if remote.put(MARK, content) and remote.put(MARK, content):
            raise StoreError(
                f"{self.url}: this server ignores conditional writes (If-None-Match), so two machines would "
                "overwrite each other's images; update the server, or use another"
            )

    def put(self, path: Path, content: bytes, durable: bool = True) -> bool:
        """Begin to write ``path`` unless it exists; it appears when the server has it, see `settle`."""
        if not self.mirror.name(path):
            return super().put(path, content, durable)
        with explained(path):
            return self.mirror.send(path, content)

    def settle(self) -> None:
        with explained(self.root):
            self.mirror.settle()

    def bring(self, paths: Iterable[Path], fresh: bool = True) -> None:
        with explained(self.root):
            self.mirror.bring(paths, fresh)

    def have(self, paths: Sequence[Path]) -> list[bool]:
        return self.mirror.have(paths)

    def restore(self, path: Path) -> bool:
        with explained(path):
            return self.mirror.restore(path)

    def remove_damaged(self, path: Path) -> None:
        with explained(path):
            self.mirror.remove_damaged(path)

    def lease(self, paths: Sequence[Path], claims: contextlib.ExitStack) -> bool:
        if self._leases is None:
            return True
        name = digest(sorted(self.mirror.name(path) for path in paths))
        if not self._leases.take(name):
            return False
        claims.callback(self._leases.release, name)
        return True

    def record(self, path: Path, make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        if not self.mirror.name(path):
            return super().record(path, make)
        self.bring([path])
        try:
            return read_record(path)
        except FileNotFoundError:
            pass
        except DamagedError:
            if self.restore(path):
                return read_record(path)
            self.remove_damaged(path)
        sealed = seals.seal_json(make(), path.name)
        self.put(path, json.dumps(sealed, allow_nan=False, sort_keys=True).encode())
        self.settle()
        return read_record(path)

    def first_record(self, path: Path, record: Mapping[str, Any]) -> dict[str, Any]:
        self.bring([path])
        self.put(path, json.dumps(seals.seal_json(record, path.name), sort_keys=True).encode())
        self.settle()
        return read_record(path)
