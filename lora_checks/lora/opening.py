"""Open a path that must be a regular file, or explain what else it is.

Links to regular files are followed: the hub's cache and "latest" checkpoints use them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from lora_checks.core.errors import LoraFileError

MAX_HASHED = 4_000_000_000  # bytes of a refused file; a sparse one claims any number
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for binary reading. A `LoraFileError` has a sentence that continues after the path.

    The path is checked before it is opened, because opening a pipe waits for a writer and opening a device
    can have side effects. The open file is checked again, because the path may have been replaced since.
    """
    try:
        _check(path, path.stat())
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        file = os.fdopen(handle, "rb")
    except OSError as error:
        raise LoraFileError(_unopened(path, error)) from error
    try:
        _check(path, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


@functools.cache
def refused_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a refused file, for the record; "" if unreadable or too large."""
    try:
        with open_regular(path) as file:
            if os.fstat(file.fileno()).st_size > MAX_HASHED:
                return ""
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (LoraFileError, OSError):
        return ""


def _check(path: Path, status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        link = "is a link to" if path.is_symlink() else "is"
        raise LoraFileError(f"{link} {what}, not a regular file; name a .safetensors file")


def _unopened(path: Path, error: OSError) -> str:
    if path.is_symlink():
        target = os.readlink(path)  # noqa: PTH115  # Path.readlink drops a final slash
        if isinstance(error, FileNotFoundError):
            return f"is a link to {target}, which does not exist"
        if not isinstance(error, PermissionError):
            return f"is a link to {target} that cannot be followed: {error.strerror}"
    return f"cannot be read: {error.strerror}"
