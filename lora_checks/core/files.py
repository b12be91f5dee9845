"""Files written whole or not at all, and named by their content."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``; a crash leaves the old file or the new one, nothing between."""
    with _staged(path, content) as temporary:
        temporary.replace(path)


def write_if_absent(path: Path, content: bytes) -> bool:
    """Write ``path`` unless it exists, atomically; True if this call wrote it."""
    with _staged(path, content) as temporary:
        try:
            os.link(temporary, path)  # unlike a rename, it fails if another was first
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            temporary.replace(path)
        return True


def stage(path: Path, content: bytes) -> Path:
    """Put ``content`` on disk beside ``path``; return the file, which gets its name by a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's 0600 would hide the file from other users and from uploaders
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


@contextmanager
def _staged(path: Path, content: bytes) -> Iterator[Path]:
    """``content`` on disk beside ``path``, gone afterwards unless it was moved."""
    temporary = stage(path, content)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
