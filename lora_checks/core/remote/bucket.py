"""A store in a bucket of an object store, through fsspec: S3 and its relatives, Google Cloud, Azure.

Each client finds its credentials by its own rules; nothing here sees them. ``pipe_file(mode="create")`` is a
conditional write in all three: ``If-None-Match: *`` in s3fs and adlfs, ``ifGenerationMatch=0`` in gcsfs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from lora_checks.core.errors import PrerequisiteError, StoreError
from lora_checks.core.remote import Entry
from lora_checks.core.remote.retries import Patience, fault_of, patiently

T = TypeVar("T")
EXTRA = "pip install 'lora-checks[store]'"
INSTALL = {"s3": EXTRA, "gs": f"{EXTRA} gcsfs", "gcs": f"{EXTRA} gcsfs"}
AZURE = f"{EXTRA} adlfs"
CONNECT_SECONDS = 10


class Bucket:
    """A `Remote` in a bucket. Its methods may be called from many threads."""

    def __init__(self, url: str, patience: Patience) -> None:
        self.url, self._patience = url.rstrip("/"), patience
        self._files, self._root = _opened(self.url, patience)

    def put(self, name: str, content: bytes, replace: bool = False) -> bool:
        mode = "overwrite" if replace else "create"
        try:
            self._asked(name, lambda path: self._files.pipe_file(path, content, mode=mode))
        except FileExistsError:
            return False
        except FileNotFoundError:
            raise StoreError(f"{self.url}: there is no such bucket or container; create it first") from None
        return True

    def get(self, name: str) -> bytes:
        content: bytes = self._asked(name, self._files.cat_file)
        return content

    def has(self, name: str) -> bool:
        try:
            self._asked(name, self._files.info)
        except FileNotFoundError:
            return False
        return True

    def entries(self, folder: str = "") -> Iterator[Entry]:
        try:
            found = self._asked(folder, lambda path: self._files.find(path, detail=True))
        except FileNotFoundError:
            return
        for path, about in found.items():
            if about.get("type") == "file":
                yield Entry(path.removeprefix(f"{self._root}/"), int(about["size"]), _written(about))

    def delete(self, name: str) -> None:
        try:
            self._asked(name, self._files.rm_file)
        except FileNotFoundError:
            return

    def _asked(self, name: str, call: Callable[[str], T]) -> T:
        path, where = (f"{start}/{name}".rstrip("/") for start in (self._root, self.url))
        return patiently(lambda: call(path), where, self._patience)


def _written(about: dict[str, Any]) -> float:
    """Return when an entry was last written; each client has its own key."""
    for key in ("LastModified", "last_modified", "updated", "mtime"):
        value = about.get(key)
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.timestamp()
    raise StoreError(f"{about.get('name')}: the listing does not say when it was written")


def _opened(url: str, patience: Patience) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    try:
        import fsspec

        files, root = fsspec.core.url_to_fs(
            url, use_listings_cache=False, skip_instance_cache=True, **_settings(protocol, patience)
        )
    except ImportError as error:
        install = INSTALL.get(protocol, AZURE)
        raise PrerequisiteError(f"{url} needs {error.name or 'a package'}; {install}") from None
    except Exception as error:
        fault = fault_of(error)
        raise StoreError(f"{url}: cannot be opened ({fault}); check the URL and its settings") from None
    if protocol == "s3":
        files.retries = 1  # the repetitions are ours: they have an end, and wait at random
    return files, str(root).rstrip("/")


def _settings(protocol: str, patience: Patience) -> dict[str, Any]:
    """Return settings of the client beside the user's own, which fsspec reads."""
    if protocol != "s3":
        return {}
    import fsspec

    own = {
        "retries": {"total_max_attempts": 1},
        "connect_timeout": min(CONNECT_SECONDS, patience.timeout),
        "read_timeout": patience.timeout,
        "max_pool_connections": 32,
    }
    kept = fsspec.config.conf.get("s3", {}).get("config_kwargs", {})
    # One request for a read: with more than one reader at work, s3fs asks for the size first.
    return {"max_concurrency": 1, "config_kwargs": {**kept, **own}}
