"""Digests of input files and folders, and detection of later changes to them.

Links are followed: diffusers opens ``unet/diffusion_pytorch_model.safetensors`` wherever the link ``unet``
leads, so the files there belong to the folder's digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.core.known_digests import KnownDigests, hashed, stamp_of
from lora_checks.core.records import digest

Place = tuple[int, int]  # device and inode: one folder, whatever its name
THREADS = min(8, os.cpu_count() or 1)  # hashing does not hold the interpreter


class Contents:
    """Files and folders as they were when they were hashed.

    Libraries open these files themselves, and later. Before storing a result under their digest, call
    `changed` to make sure that the library read the bytes that were hashed.

    Args:
        places: Files and folders.
        known: Digests of earlier processes; None hashes every byte now.

    Raises:
        ConfigError: A file or folder cannot be hashed.
    """

    def __init__(self, *places: Path, known: KnownDigests | None = None) -> None:
        self.places = places
        self._in_use = False
        files = self._listed()
        with ThreadPoolExecutor(THREADS) as threads:
            digests = threads.map(known.hashed if known else hashed, files)
            self._files = dict(zip(files, digests, strict=True))

    def __iter__(self) -> Iterator[tuple[Path, str]]:
        """Yield each file with the SHA-256 of its content."""
        return ((path, hashed.sha256) for path, hashed in self._files.items())

    @property
    def digests(self) -> list[str]:
        """The SHA-256 of each file, in order."""
        return [hashed.sha256 for hashed in self._files.values()]

    def sha256(self, file: Path) -> str:
        """Return the SHA-256 that ``file`` had when it was hashed."""
        return self._files[file].sha256

    def of(self, folder: Path) -> str:
        """Return one digest of the relative paths and contents of all files below ``folder`` but ``.md``."""
        below = sorted(path for path in self._files if path.is_relative_to(folder))
        return digest([(str(path.relative_to(folder)), self._files[path].sha256) for path in below])

    def changed(self, *, loaded: bool = False) -> str:
        """Return the name of a file that changed since it was hashed, or "" if none did.

        Args:
            loaded: True right after the files were loaded. A touched file then counts as changed even if its
                bytes are the same, because other bytes may have been loaded; and a file that was written
                just before it was hashed is hashed again, because file systems have coarse clocks. False:
                only touched files are hashed again.
        """
        try:
            now = self._listed()
            if now != list(self._files):
                return str(min(set(now) ^ set(self._files)))
            return next((str(path) for path in now if self._differs(path, loaded)), "")
        except ConfigError as error:  # a file was deleted, or a link now leads nowhere
            return str(error)

    def changed_in_use(self) -> str:
        """Call `changed`, with ``loaded=True`` the first time and ``loaded=False`` from then on."""
        loaded, self._in_use = not self._in_use, True
        return self.changed(loaded=loaded)

    def _differs(self, path: Path, loaded: bool) -> bool:
        before = self._files[path]
        touched = stamp_of(path) != before.stamp
        if not touched and (before.settled or not loaded):
            return False
        now = self._files[path] = hashed(path)
        return now.sha256 != before.sha256 or (touched and loaded)

    def _listed(self) -> list[Path]:
        paths = [path for place in self.places for path in (files_of(place) if place.is_dir() else [place])]
        return list(dict.fromkeys(paths))


def files_of(folder: Path) -> list[Path]:
    """Return every file below ``folder`` except ``.md``, sorted, following links.

    Raises:
        ConfigError: A folder contains itself through a link, a link leads nowhere, or an entry is neither a
            file nor a folder. No digest would cover these, yet a library might read them.
    """
    return sorted(_walk(folder, ()))


def _walk(folder: Path, above: Sequence[Place]) -> Iterator[Path]:
    try:
        status = folder.stat()
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be listed: {error.strerror or error}") from error
    if (status.st_dev, status.st_ino) in above:
        raise ConfigError(
            f"{folder}: is a link to a folder that it lies in, so it has no end; remove the link"
        )
    for path in paths:
        if path.is_dir():
            yield from _walk(path, [*above, (status.st_dev, status.st_ino)])
        elif path.suffix != ".md":
            _refuse_no_file(path)
            yield path


def _refuse_no_file(path: Path) -> None:
    if path.is_file():
        return
    if path.is_symlink() and not path.exists():
        raise ConfigError(f"{path}: is a link to nothing; put the file there or remove the link")
    raise ConfigError(f"{path}: is neither a file nor a folder; remove it")
