"""A store in a folder of a network disk: ``file:///mnt/nfs/store``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lora_checks.core.files import write_atomically, write_if_absent
from lora_checks.core.remote import Entry
from lora_checks.core.remote.retries import Patience, patiently


class Folder:
    """A `Remote` of plain files. An entry appears by a hard link, which fails where another was first."""

    def __init__(self, url: str, patience: Patience) -> None:
        self.url, self._patience = url, patience
        self._root = Path(unquote(urlsplit(url).path))

    def put(self, name: str, content: bytes, replace: bool = False) -> bool:
        path = self._root / name

        def write() -> bool:
            if not replace:
                return write_if_absent(path, content)
            write_atomically(path, content)
            return True

        return patiently(write, self._where(name), self._patience)

    def get(self, name: str) -> bytes:
        return patiently((self._root / name).read_bytes, self._where(name), self._patience)

    def has(self, name: str) -> bool:
        return (self._root / name).is_file()

    def entries(self, folder: str = "") -> Iterator[Entry]:
        for place, _, names in os.walk(self._root / folder):
            for path in (Path(place, name) for name in sorted(names) if name[0] != "."):  # half-written
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                yield Entry(path.relative_to(self._root).as_posix(), status.st_size, status.st_mtime)

    def delete(self, name: str) -> None:
        patiently(lambda: (self._root / name).unlink(missing_ok=True), self._where(name), self._patience)

    def _where(self, name: str) -> str:
        return f"{self.url}/{name}"
