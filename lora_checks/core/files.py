"""Files written whole or not at all, and named by their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PART = ".part"  # ending of a file that is being written
FICLONE = 0x40049409  # Linux: the target shares the source's blocks until one of the two is written to


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
    """Put ``content`` on disk beside ``path``; return the file, which gets its name by a rename.

    Nothing locks it, so `remove_parts` takes it for one that a killed writer left.
    """
    with _staged(path, content) as temporary:
        kept = temporary.with_name(f"{temporary.name.removesuffix(PART)}.staged{PART}")
        return temporary.rename(kept)


def copy(source: Path, target: Path) -> None:
    """Replace ``target`` by a file of the same content and time that shares no later change with ``source``.

    File systems that can (btrfs, XFS) copy no bytes until one of the two changes.
    """
    with _part(target) as (file, temporary), source.open("rb") as original:
        if not _clone(original, file):
            shutil.copyfileobj(original, file, 1 << 20)
        file.flush()
        status = os.fstat(original.fileno())
        os.utime(temporary, ns=(status.st_mtime_ns, status.st_mtime_ns))
        temporary.replace(target)


def _clone(source: IO[bytes], target: IO[bytes]) -> bool:
    try:
        import fcntl

        fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
    except (ImportError, OSError):  # another system, another disk, or a file system that cannot
        return False
    return True


def is_of(path: Path, sha256: str) -> bool:
    """Whether the file is there with the bytes of that digest; any bytes where the digest is ""."""
    try:
        return path.is_file() and (not sha256 or file_sha256(path) == sha256)
    except OSError:
        return False


def remove_parts(folder: Path) -> list[Path]:
    """Remove, in ``folder`` and below, what writers left who were killed while they wrote; return what."""
    removed = []
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names if name[0] == "." and name.endswith(PART)):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if _lock(file):  # else its writer is alive
                    path.unlink()
                    removed.append(path)
    return removed


@contextmanager
def _staged(path: Path, content: bytes) -> Iterator[Path]:
    """``content`` on disk beside ``path``, gone afterwards unless it was moved."""
    with _part(path) as (file, temporary):
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        yield temporary


@contextmanager
def _part(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """A new file beside ``path`` to write to, locked as long as its writer lives."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, temporary = _opened(path.parent)
    try:
        with file:
            temporary.chmod(0o644)  # mkstemp's 0600 would hide the file from other users and from uploaders
            yield file, temporary
    finally:
        temporary.unlink(missing_ok=True)


def _opened(folder: Path) -> tuple[IO[bytes], Path]:
    while True:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=PART)
        file = os.fdopen(handle, "wb")
        _lock(file)
        if os.fstat(handle).st_nlink:  # else `remove_parts` was faster than the lock
            return file, Path(name)
        file.close()


def _lock(file: IO[bytes]) -> bool:
    """Whether this process now holds the file; False too where the file system has no locks."""
    try:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
