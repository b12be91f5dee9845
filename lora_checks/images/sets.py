"""List the pictures of a set: a folder, tar shards or a table; or take statistics in their place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from time import time_ns
from typing import Any

from lora_checks.core import seals, shards
from lora_checks.core.errors import ConfigError
from lora_checks.core.files import write_atomically
from lora_checks.core.known_digests import stamp_of
from lora_checks.core.records import ImageFile, ImageSet, Member, digest
from lora_checks.images import tables, tar_shards
from lora_checks.images.decoding import SUFFIXES, UNREADABLE, image_file, list_images

LARGE = 5_000  # pictures; from here on a set is measured in blocks, and the record does not list it
THREADS = min(8, os.cpu_count() or 1)  # hashing does not hold the interpreter


def image_set(name: str, source: Path, known: Path | None = None) -> ImageSet:
    """Return the pictures of a set.

    Args:
        name: "references", "train", ...
        source: A folder of pictures; tar or Parquet files, several by braces or wildcards; a folder that
            ``datasets`` saved; or an .npz file of statistics, which then stand for the pictures.
        known: A folder where the lists of tars and tables are kept, so that they are hashed only once.

    Raises:
        ConfigError: There are no pictures, or something would be silently left out.
        PrerequisiteError: A table needs a package.
    """
    if source.suffix == ".npz" and source.is_file():
        return ImageSet(name, (), statistics=image_file(source))
    if source.is_dir() and not tables.is_saved(source):
        return ImageSet(name, _of_folder(source))
    files = tables.files_of(source) if source.is_dir() else shards.expanded(source)
    for file in files:
        _refuse_other(file)
    with ThreadPoolExecutor(THREADS) as threads:
        lists = list(threads.map(lambda file: _listed(file, known), files))
    pictures = [image for file, found in zip(files, lists, strict=True) for image in _files(file, found)]
    if not pictures:
        raise ConfigError(f"{source}: no pictures there ({', '.join(sorted(SUFFIXES))})")
    return ImageSet(name, _distinct(pictures))


def _of_folder(folder: Path) -> tuple[ImageFile, ...]:
    try:
        paths = list_images(folder)
    except ConfigError as error:
        inside = sorted({path.suffix for path in folder.iterdir() if path.suffix in shards.SUFFIXES})
        if not inside:
            raise
        raise ConfigError(f"{error}; for the files in it name {folder / f'*{inside[0]}'}") from None
    with ThreadPoolExecutor(THREADS) as threads:
        return tuple(threads.map(image_file, paths))


def _refuse_other(file: Path) -> None:
    if file.name.endswith(shards.COMPRESSED):
        raise ConfigError(
            f"{file}: compressed tars are not read; unpack it to a .tar (pictures gain nothing)"
        )
    if file.suffix not in shards.SUFFIXES or not file.is_file():
        raise ConfigError(f"{file}: is not one of {', '.join(shards.SUFFIXES)}, nor a folder of pictures")


def _files(file: Path, found: Iterable[tuple[Member, str]]) -> Iterator[ImageFile]:
    for member, sha256 in found:
        yield ImageFile(file, sha256, f"{file.stem}/{member.name}", member=member)


def _distinct(pictures: Sequence[ImageFile]) -> tuple[ImageFile, ...]:
    """Return the pictures under names that differ; files of one name may lie in several folders."""
    if len({picture.name for picture in pictures}) == len(pictures):
        return tuple(pictures)
    return tuple(
        ImageFile(p.path, p.sha256, f"{p.path.parent.name}/{p.name}", member=p.member) for p in pictures
    )


# --- lists that are kept ------------------------------------------------------------------------------


def _listed(file: Path, known: Path | None) -> list[tuple[Member, str]]:
    """Return a file's pictures; from an earlier run's list while the file is what it was."""
    began, stamp = time_ns(), stamp_of(file)
    record = known and known / f"{digest(['pictures of', os.fsencode(file.absolute()).hex()])}.json"
    found = record and _read(record, asdict(stamp))
    if not found:
        found = list(
            tar_shards.members(file, SUFFIXES, UNREADABLE) if file.suffix == ".tar" else tables.members(file)
        )
        if record and stamp.settled(began):
            _keep(record, asdict(stamp), found)
    return found


def _read(record: Path, stamp: dict[str, int]) -> list[tuple[Member, str]] | None:
    try:
        kept = seals.unseal_json(json.loads(record.read_bytes()), record.name)
    except (OSError, ValueError):
        return None
    if kept is None or kept.get("stamp") != stamp:
        return None
    return [(Member(name, (a, b), column), sha256) for name, a, b, column, sha256 in kept["members"]]


def _keep(record: Path, stamp: dict[str, int], found: Iterable[tuple[Member, str]]) -> None:
    rows: list[list[Any]] = [[member.name, *member.at, member.column, sha256] for member, sha256 in found]
    content = seals.seal_json({"stamp": stamp, "members": rows}, record.name)
    try:
        write_atomically(record, json.dumps(content).encode())
    except OSError:
        return  # the next run hashes the file again
