"""Write, copy and hash files; every write is atomic."""

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

PART = ".part"  # suffix of a file that is still being written
FICLONE = 0x40049409  # Linux: the target shares the source's blocks until one of the two is written to


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace ``path`` by ``content``; a crash leaves either the old file or the new one.

    Without ``durable``, a power failure may leave a damaged file: for sealed content that can be made again.
    """
    with _staged(path, content, durable) as temporary:
        temporary.replace(path)


def write_if_absent(path: Path, content: bytes, durable: bool = True) -> bool:
    """Write ``path`` unless it exists, atomically; True if this call wrote it. See `write_atomically`."""
    with _staged(path, content, durable) as temporary:
        try:
            os.link(temporary, path)  # unlike a rename, it fails if another process was first
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            temporary.replace(path)
        return True


def stage(path: Path, content: bytes) -> Path:
    """Write ``content`` to a temporary file beside ``path`` and return it; rename it to publish it.

    The file is not locked, so `remove_parts` treats it as left over from a killed writer.
    """
    with _staged(path, content) as temporary:
        staged = temporary.with_name(f"{temporary.name.removesuffix(PART)}.staged{PART}")
        return temporary.rename(staged)


def copy(source: Path, target: Path) -> None:
    """Replace ``target`` with an independent copy of ``source``, including its modification time.

    On file systems with copy-on-write (btrfs, XFS) no bytes are copied until one of the two changes.
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
    except (ImportError, OSError):  # not Linux, two different disks, or a file system without copy-on-write
        return False
    return True


def is_of(path: Path, sha256: str) -> bool:
    """Return whether the file exists and has this digest; a digest of "" matches any content."""
    try:
        return path.is_file() and (not sha256 or file_sha256(path) == sha256)
    except OSError:
        return False


def remove_parts(folder: Path) -> list[Path]:
    """Remove the part files of killed writers in ``folder`` and below; return the removed paths."""
    removed = []
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names if name[0] == "." and name.endswith(PART)):
            with contextlib.suppress(OSError), path.open("rb") as file:
                if _lock(file):  # else its writer is alive
                    path.unlink()
                    removed.append(path)
    return removed


@contextmanager
def _staged(path: Path, content: bytes, durable: bool = True) -> Iterator[Path]:
    """Write ``content`` to a temporary file beside ``path``; delete it on exit unless it was renamed."""
    with _part(path) as (file, temporary):
        file.write(content)
        file.flush()
        if durable:
            os.fsync(file.fileno())
        yield temporary


@contextmanager
def _part(path: Path) -> Iterator[tuple[IO[bytes], Path]]:
    """Open a new temporary file beside ``path``, locked as long as its writer lives."""
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
    """Try to lock the file; return False if another process holds it or the file system has no locks."""
    try:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
