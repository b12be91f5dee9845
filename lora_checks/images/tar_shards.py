"""Read pictures from tar files, as WebDataset keeps them: each file once, from its beginning to its end.

A tar is not compressed, so a picture is a stretch of its bytes: it is listed with its place, and read from
there later, in order, without unpacking.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Member

BLOCK = tarfile.BLOCKSIZE


def members(path: Path, suffixes: frozenset[str], unreadable: frozenset[str]) -> Iterator[tuple[Member, str]]:
    """Yield each picture of a tar and the SHA-256 of its bytes, in the tar's order.

    Args:
        path: The tar.
        suffixes: Endings of pictures; other members are captions and labels, and left out.
        unreadable: Endings of pictures that the decoder does not read.

    Raises:
        ConfigError: The tar is compressed, damaged or cut off; a picture in it is a link, is of a kind that
            is not read, or has the name of another one.
    """
    seen = set[str]()
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                suffix = PurePosixPath(info.name).suffix.lower()
                if suffix in unreadable:
                    raise ConfigError(
                        f"{path}: {info.name}: {suffix} pictures are not read; convert it to PNG or remove it"
                    )
                if suffix in suffixes and not info.isdir():
                    _refuse(path, info, seen)
                    yield Member(info.name, (info.offset_data, info.size)), _sha256(path, file, info)
                cast(Any, tar).members.clear()  # it would keep them all
            _refuse_rest(path, file, tar.offset)
    except tarfile.TarError as error:
        raise ConfigError(
            f"{path}: is not a whole, uncompressed tar ({error}); unpack or copy it again"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def _refuse(path: Path, info: tarfile.TarInfo, seen: set[str]) -> None:
    if not info.isreg() or info.issparse():
        raise ConfigError(f"{path}: {info.name}: is a link or a sparse file; store the picture itself")
    if info.name in seen:
        raise ConfigError(f"{path}: {info.name}: is there twice; give each picture a name of its own")
    seen.add(info.name)


def _sha256(path: Path, file: IO[bytes], info: tarfile.TarInfo) -> str:
    file.seek(info.offset_data)
    content = file.read(info.size)
    if len(content) < info.size:
        raise ConfigError(f"{path}: {info.name}: the tar is cut off inside it; copy the tar again")
    return hashlib.sha256(content).hexdigest()


def _refuse_rest(path: Path, file: IO[bytes], end: int) -> None:
    """Raise `ConfigError` unless the tar ends as tars do: Python's reader stops without a word at damage."""
    file.seek(end)
    rest = file.read(1 << 20)
    if len(rest) < BLOCK:
        raise ConfigError(f"{path}: is cut off: a tar has an end mark after byte {end}; copy it again")
    while rest:
        if rest.strip(b"\0"):
            raise ConfigError(f"{path}: is damaged: what follows byte {end} is no tar; copy it again")
        rest = file.read(1 << 20)
