"""What a store holds, in a folder or on a server: list it, look at each entry, and remove some."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Protocol, TypeVar

from lora_checks.core.errors import ConfigError, StoreError
from lora_checks.core.remote import Entry, Remote, open_remote
from lora_checks.core.remote.leases import alone
from lora_checks.core.remote.mirror import AT_ONCE
from lora_checks.core.remote.place import Place
from lora_checks.core.store import Store
from lora_checks.images import gallery

T = TypeVar("T")


class Holdings(Protocol):
    """The entries of a store, by their names relative to it. Methods raise `StoreError`."""

    where: str  # for people

    def entries(self) -> Sequence[Entry]:
        """Return every entry, by name."""
        ...

    def each(self, names: Sequence[str], look: Callable[[str, bytes | None], T]) -> Iterator[T]:
        """Yield what ``look`` says of each entry; it gets None for one that cannot be read."""
        ...

    def galleries(self) -> Mapping[str, bytes]:
        """Return the records of the folders that show a LoRA's images, by the folder's name."""
        ...

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Keep runs out. Raises `StoreError` if one is using the store."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Remove entries."""
        ...


class FolderHoldings:
    """A store in a folder."""

    def __init__(self, root: Path) -> None:
        self.root, self.where = root, str(root)

    @cached_property
    def _store(self) -> Store:
        """Opened only to remove something: what is only looked at need not be writable."""
        return Store(self.root)

    def entries(self) -> Sequence[Entry]:
        files = (path for path in sorted(self.root.rglob("*")) if path.is_symlink() or not path.is_dir())
        return [
            Entry(path.relative_to(self.root).as_posix(), status.st_size, status.st_mtime)
            for path in files
            for status in [path.lstat()]
        ]

    def each(self, names: Sequence[str], look: Callable[[str, bytes | None], T]) -> Iterator[T]:
        return (look(name, _content(self.root / name)) for name in names)

    def galleries(self) -> Mapping[str, bytes]:
        return _galleries(self.root)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        return self._store.locks.alone()

    def remove(self, names: Iterable[str]) -> None:
        self._store.remove([self.root / name for name in names])


class ServerHoldings:
    """The part of a store on a server that one kind of device has filled."""

    def __init__(self, remote: Remote, cache: Path, people: Path | None, found: Sequence[Entry]) -> None:
        self.where, self._remote, self._cache, self._people = remote.url, remote, cache, people
        self._found = found

    def entries(self) -> Sequence[Entry]:
        return self._found

    def each(self, names: Sequence[str], look: Callable[[str, bytes | None], T]) -> Iterator[T]:
        """Read entries from the cache where it has them; what is fetched for a look is not kept."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield from pool.map(lambda name: look(name, self._read(name)), names)

    def _read(self, name: str) -> bytes | None:
        if (kept := _content(self._cache / name)) is not None:
            return kept
        try:
            return self._remote.get(name)
        except FileNotFoundError:
            return None

    def galleries(self) -> Mapping[str, bytes]:
        return {} if self._people is None else _galleries(self._people)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        return alone(self._remote)

    def remove(self, names: Iterable[str]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(self._delete, names):
                pass

    def _delete(self, name: str) -> None:
        self._remote.delete(name)
        with contextlib.suppress(OSError):
            (self._cache / name).unlink()


def holdings_of(place: Place) -> list[Holdings]:
    """Return the holdings_of of a store: one of a folder; on a server, one for each kind of device.

    Raises:
        ConfigError: There is no such store.
        StoreError, PrerequisiteError: The server cannot be asked.
    """
    if not place.url:
        if not place.root.is_dir():
            raise ConfigError(f"{place.root} is not a folder; name the --lora-store of a run")
        return [FolderHoldings(place.root)]
    found = sorted(open_remote(place.url).entries(), key=lambda entry: entry.name)
    if not found:
        raise ConfigError(f"{place.url} is empty; name the --lora-store of a run")
    return [_of_part(place, part, list(group)) for part, group in groupby(found, key=_part)]


def _of_part(place: Place, part: str, found: Sequence[Entry]) -> Holdings:
    own = [Entry(entry.name.removeprefix(f"{part}/"), entry.size, entry.written) for entry in found]
    return ServerHoldings(open_remote(f"{place.url}/{part}"), place.root / part, place.people, own)


def _part(entry: Entry) -> str:
    part, slash, _ = entry.name.partition("/")
    if not slash:
        raise StoreError(
            f"{entry.name} is no part of a store; name the --lora-store of a run, not more or less"
        )
    return part


def _galleries(root: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in sorted(root.glob(f"*/{gallery.RECORD}"))}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
