"""Where a store is: a folder of this machine, or a URL with a local cache in front of it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from lora_checks.core.device import hardware
from lora_checks.core.errors import ConfigError
from lora_checks.core.project import STORE, is_url
from lora_checks.core.records import digest
from lora_checks.core.store import Store

PROTOCOLS = ("s3", "gs", "gcs", "az", "abfs", "abfss", "file")  # those with conditional writes or hard links
UNITS = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store is. It can be sent to another process, which opens the same store."""

    root: Path  # the store, or the local cache of the one at ``url``
    url: str = ""
    limit: int | None = None  # bytes that entries of the cache may take between runs
    people: Path | None = None  # see `shown`

    @property
    def shown(self) -> Path:
        """Where reports and folders of pictures for people go: beside the store unless that is at a URL."""
        return self.people or self.root

    def on(self, device: str) -> Place:
        """Return the part of a shared store for this kind of device; a local store has one part.

        Two kinds of GPU round differently, so the pictures of one must not pass for those of another.
        """
        if not self.url:
            return self
        part = re.sub(r"[^a-z0-9]+", "-", hardware(device).lower()).strip("-")
        return replace(self, root=self.root / part, url=f"{self.url}/{part}")

    def open(self, say: Callable[[str], None] = lambda _: None, leases: bool = True) -> Store:
        """Open the store.

        Args:
            say: Receives a sentence about each damaged entry.
            leases: False where somebody else sees to it that no two machines make the same image.

        Raises:
            StoreError: The folder, or the server, cannot be written.
            PrerequisiteError: The package for this kind of URL is missing.
        """
        if not self.url:
            return Store(self.root, say)
        from lora_checks.core.remote.shared import SharedStore

        return SharedStore(self, say, leases)


def open_store(where: Path | Place, device: str, say: Callable[[str], None] = lambda _: None) -> Store:
    """Open a store in a folder or at a place, for what this device makes. Raises as `Place.open`."""
    return (where if isinstance(where, Place) else Place(where)).on(device).open(say)


def place_of(text: str | None, here: Path, cache: str | None = None, size: str | None = None) -> Place:
    """Return the place that ``--lora-store`` names, with the values of its ``-cache`` and ``-cache-size``.

    Raises `ConfigError`; its text has no credentials.
    """
    if text is None or not is_url(text):
        for option, value in (("--lora-store-cache", cache), ("--lora-store-cache-size", size)):
            if value is not None:
                raise ConfigError(
                    f"{option} is for a store at a URL, such as --lora-store s3://bucket/folder"
                )
        return Place(here / (text or STORE))
    url = refuse(text)
    root = (here / cache if cache else _caches()) / _key(url)
    return Place(root, url, None if size is None else bytes_of(size), here / STORE)


def refuse(url: str) -> str:
    """Return the URL in its one spelling. Raises `ConfigError`, without quoting what may be a secret."""
    protocol, _, rest = url.partition("://")
    url = f"{protocol}://{rest.rstrip('/')}"
    if protocol not in PROTOCOLS:  # also those in capitals: not every client knows them
        raise ConfigError(
            f"--lora-store: {protocol}:// has no conditional writes here; use s3://, gs://, az:// or file://"
        )
    if protocol == "file":
        url = f"file:///{url[7:].lstrip('/')}"
    parts = urlsplit(url)
    if parts.query or parts.fragment or ":" in parts.netloc.rpartition("@")[0]:
        raise ConfigError(
            f"--lora-store: a {protocol}:// URL here holds a bucket and a folder and nothing else; "
            "credentials belong where the service's own tools look for them"
        )
    if not (parts.netloc or parts.path.strip("/")):
        raise ConfigError(f"--lora-store: {protocol}:// names no bucket or folder")
    return url


def bytes_of(text: str) -> int:
    """Read a size such as ``50GB``. Raises `ConfigError`."""
    size = re.fullmatch(r"(\d+(?:\.\d+)?) ?(MB|GB|TB)", text, re.IGNORECASE)
    if size is None:
        raise ConfigError(f"--lora-store-cache-size: '{text}' is not a size; write 500MB, 50GB or 2TB")
    return int(float(size[1]) * UNITS[size[2].upper()])


def _caches() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lora_checks" / "stores"


def _key(url: str) -> str:
    return f"{re.sub(r'[^A-Za-z0-9]+', '-', url).strip('-')[:60]}-{digest(url)[:8]}"
