"""Files that something is made of: which they are, what they hold, and whether that is still so.

A folder is read through links: diffusers opens ``unet/diffusion_pytorch_model.safetensors`` wherever the link
``unet`` leads, so what lies there is part of what the folder is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import digest

Place = tuple[int, int]  # device and inode: one folder, whatever its name


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file system changes when a file is written to, touched or exchanged."""

    device: int
    inode: int
    size: int
    written: int  # nanoseconds
    changed: int


@dataclass(frozen=True, slots=True)
class Hashed:
    sha256: str
    stamp: Stamp


class Contents:
    """Files and folders as they were when they were hashed. Raises `ConfigError` for what cannot be hashed.

    What is loaded from them is loaded later, by libraries that open the files themselves, so whoever keeps a
    result under their digest asks first whether they still are what they were.
    """

    def __init__(self, *places: Path) -> None:
        self.places = places
        self._in_use = False
        self._files = {path: _hashed(path) for path in self._listed()}

    def __iter__(self) -> Iterator[tuple[Path, str]]:
        """Each file, and the SHA-256 of its content."""
        return ((path, found.sha256) for path, found in self._files.items())

    @property
    def digests(self) -> list[str]:
        return [found.sha256 for found in self._files.values()]

    def sha256(self, file: Path) -> str:
        return self._files[file].sha256

    def of(self, folder: Path) -> str:
        """The digest of every file's place and content below ``folder``, but not of what is written about
        them (``.md``)."""
        below = sorted(path for path in self._files if path.is_relative_to(folder))
        return digest([(str(path.relative_to(folder)), self._files[path].sha256) for path in below])

    def changed(self, *, loaded: bool = False) -> str:
        """Name a file that is not what it was when it was hashed; "" where every file is.

        Without ``loaded`` only files that were touched are hashed again. With it, right after something was
        loaded, all are, for the clocks of file systems are coarse; and a touched file counts as changed even
        if it holds the same bytes again, because others may have been loaded.
        """
        try:
            now = self._listed()
            if now != list(self._files):
                return str(min(set(now) ^ set(self._files)))
            return next((str(path) for path in now if self._differs(path, loaded)), "")
        except ConfigError as error:  # a file that is gone, or a link that leads nowhere by now
            return str(error)

    def changed_in_use(self) -> str:
        """As `changed`, where the first call comes after the loading and every later one after more work."""
        loaded, self._in_use = not self._in_use, True
        return self.changed(loaded=loaded)

    def _differs(self, path: Path, loaded: bool) -> bool:
        before = self._files[path]
        touched = _stamp(path) != before.stamp
        if not touched and not loaded:
            return False
        now = self._files[path] = _hashed(path)
        return now.sha256 != before.sha256 or (touched and loaded)

    def _listed(self) -> list[Path]:
        found = [path for place in self.places for path in (files_of(place) if place.is_dir() else [place])]
        return list(dict.fromkeys(found))


def files_of(folder: Path) -> list[Path]:
    """Every file below ``folder`` but ``.md``, in order, through links.

    Raises `ConfigError`, naming the place, for a folder that holds itself by a link, a link that leads
    nowhere, and what is neither file nor folder: no digest would cover it, and it might be read all the same.
    """
    return sorted(_walk(folder, ()))


def _walk(folder: Path, above: Sequence[Place]) -> Iterator[Path]:
    try:
        found = folder.stat()
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    if (found.st_dev, found.st_ino) in above:
        raise ConfigError(
            f"{folder}: is a link to a folder that it lies in, so it has no end; remove the link"
        )
    for path in paths:
        if path.is_dir():
            yield from _walk(path, [*above, (found.st_dev, found.st_ino)])
        elif path.suffix != ".md":
            _refuse_no_file(path)
            yield path


def _refuse_no_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"{path}: is a link to nothing; put the file there or remove the link")
    raise ConfigError(f"{path}: is neither a file nor a folder; remove it")


def _hashed(path: Path) -> Hashed:
    try:
        before = _stamp(path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Hashed(sha256, before)  # of before: what was written meanwhile shows as a change


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
