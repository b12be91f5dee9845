"""Cache thumbnails and spectra in the store, so that the next page is quick."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core import seals
from lora_checks.core.files import write_atomically

VERSION = "3"  # increase when thumbnails or spectra change


class Cache:
    """Bytes by kind and SHA-256 of the picture; caches nothing without a writable folder."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def get(self, kind: str, sha256: str) -> bytes | None:
        """Return the cached bytes, or None if they are missing or damaged."""
        if self.root is None or not sha256:
            return None
        try:
            content = self._path(kind, sha256).read_bytes()
        except OSError:
            return None
        return seals.unseal(content, f"{kind} {sha256}")

    def put(self, kind: str, sha256: str, content: bytes) -> None:
        """Cache bytes; a full or read-only disk only makes the next page slower."""
        if self.root is None or not sha256:
            return
        path = self._path(kind, sha256)
        with contextlib.suppress(OSError):
            write_atomically(path, seals.seal(content, f"{kind} {sha256}"), durable=False)

    def _path(self, kind: str, sha256: str) -> Path:
        assert self.root is not None
        return self.root / VERSION / kind / sha256[:2] / sha256[2:]


def open_cache(run: Mapping[str, Any]) -> Cache:
    """Open the cache in the run's store, if it is on this machine."""
    store = Path(run["store"]) if run.get("store") else None
    return Cache(store / "page" if store is not None and store.is_dir() else None)
