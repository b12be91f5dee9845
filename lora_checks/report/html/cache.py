"""What was made of a picture for a page, kept in the store, so that a second page takes a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core import seals
from lora_checks.core.files import write_atomically

VERSION = "2"  # raise it when thumbnails or spectra change


class Cache:
    """Bytes by kind and SHA-256 of the picture. Without a folder that can be written, it keeps nothing."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def get(self, kind: str, sha256: str) -> bytes | None:
        """None where nothing is kept, or what is kept is damaged."""
        if self.root is None or not sha256:
            return None
        try:
            kept = self._path(kind, sha256).read_bytes()
        except OSError:
            return None
        return seals.unseal(kept, f"{kind} {sha256}")

    def put(self, kind: str, sha256: str, content: bytes) -> None:
        """A full disk or a folder that is only read costs time at the next page, nothing else."""
        if self.root is None or not sha256:
            return
        path = self._path(kind, sha256)
        with contextlib.suppress(OSError):
            write_atomically(path, seals.seal(content, f"{kind} {sha256}"))

    def _path(self, kind: str, sha256: str) -> Path:
        assert self.root is not None
        return self.root / VERSION / kind / sha256[:2] / sha256[2:]


def open_cache(run: Mapping[str, Any]) -> Cache:
    """In the store of the run, if that is on this machine."""
    store = Path(run["store"]) if run.get("store") else None
    return Cache(store / "page" if store is not None and store.is_dir() else None)
