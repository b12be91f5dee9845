"""Keep the digests of large files, so that a base of 24 GB is not read in full by each process of each run.

A digest is believed while device, inode, size and both times of the file are what they were. Times are
coarse: a file that was written just before it was hashed could be written again within the same tick. So, as
git does with its index, the digest of such a file is not kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from lora_checks.core import seals
from lora_checks.core.errors import ConfigError
from lora_checks.core.files import write_atomically
from lora_checks.core.records import digest

FOLDER = "digests"
LARGE = 4 << 20  # bytes; smaller files are hashed sooner than their record is read and checked
TICK = 10_000_000_000  # nanoseconds: the clock of a file server may be some seconds off


@dataclass(frozen=True, slots=True)
class Stamp:
    """The file attributes that change when a file is written to, touched or replaced."""

    device: int
    inode: int
    size: int
    written: int  # nanoseconds
    changed: int

    def settled(self, at: int) -> bool:
        """Return whether a write after ``at`` (nanoseconds) is bound to change the stamp."""
        return max(self.written, self.changed) + TICK < at


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's digest, and its stamp from before it was hashed: a write meanwhile shows up as a change."""

    sha256: str
    stamp: Stamp
    settled: bool  # while the stamp stays, the bytes do


class KnownDigests:
    """Digests that earlier processes computed, in a folder of the store.

    They save time, and prove nothing to anyone else: `attest` and `verify` hash the bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hashed(self, path: Path) -> Hashed:
        """Return a file's digest, from the record if the file is what it was. Raises `ConfigError`."""
        stamp = stamp_of(path)
        if stamp.size < LARGE:
            return hashed(path)
        record = self.folder / f"{digest(os.fsencode(path.absolute()).hex())}.json"
        known = _known(record, stamp)
        if known is not None:
            return known
        found = hashed(path)
        if found.settled:
            _keep(record, found)
        return found


def hashed(path: Path) -> Hashed:
    """Read a file and return its digest. Raises `ConfigError`."""
    began, stamp = time.time_ns(), stamp_of(path)
    try:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Hashed(sha256, stamp, stamp.settled(began))


def stamp_of(path: Path) -> Stamp:
    """Return a file's attributes, of what a link leads to. Raises `ConfigError`."""
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _known(record: Path, stamp: Stamp) -> Hashed | None:
    try:
        kept = seals.unseal_json(json.loads(record.read_bytes()), record.name)
    except (OSError, ValueError):
        return None
    if kept is None or kept.get("stamp") != asdict(stamp):
        return None
    return Hashed(str(kept["digest"]), stamp, settled=True)


def _keep(record: Path, found: Hashed) -> None:
    content = seals.seal_json({"digest": found.sha256, "stamp": asdict(found.stamp)}, record.name)
    try:
        write_atomically(record, json.dumps(content).encode())
    except OSError:
        return  # the next run hashes the file again
