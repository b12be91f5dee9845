"""Entries of a store on a server: the few operations that a service must have, and who offers them.

`Bucket` speaks to object stores through fsspec, `Folder` to a mounted network disk. Both put an entry only
where there is none, in one step that no other writer can come between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from lora_checks.core.remote.retries import Patience

__all__ = ["Entry", "Remote", "open_remote"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as a listing shows it."""

    name: str  # relative to the store, with "/"
    size: int  # bytes
    written: float  # seconds since 1970, by the server's clock


class Remote(Protocol):
    """A store on a server. Every method may raise `StoreError`, after it has tried for a while."""

    url: str

    def put(self, name: str, content: bytes, replace: bool = False) -> bool:
        """Write an entry unless it exists (or whatever exists); return whether this call wrote it.

        False may also be the answer about this call's own entry, if the reply to it was lost.
        """
        ...

    def get(self, name: str) -> bytes:
        """Return an entry's content. Raises `FileNotFoundError`."""
        ...

    def has(self, name: str) -> bool:
        """Return whether there is such an entry."""
        ...

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Yield every entry below a folder."""
        ...

    def delete(self, name: str) -> None:
        """Delete an entry; one that is not there is no error."""
        ...


def open_remote(url: str, patience: Patience | None = None) -> Remote:
    """Return the store at a URL that `place.refuse` has passed; nothing is asked of the server yet.

    Raises:
        PrerequisiteError: The package for this kind of URL is missing.
    """
    if url.startswith("file://"):
        from lora_checks.core.remote.folder import Folder

        return Folder(url, patience or Patience())
    from lora_checks.core.remote.bucket import Bucket

    return Bucket(url, patience or Patience())
