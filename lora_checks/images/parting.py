"""Split a folder of pictures into those to train on and those to hold out."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.images.decoding import list_images

HELD_OUT_SHARE = 1 / 3
LEAST_HELD_OUT = 5


def part(source: Path, held_out: Path, trained: Path) -> tuple[int, int]:
    """Copy a folder's pictures into two new ones, a third to ``held_out``; equal files count once.

    Which picture goes where is decided by its SHA-256, so the same folder is always split in the same way.
    Captions (.txt of the same name) go with their pictures.

    Returns:
        The number of pictures in each folder.

    Raises:
        ConfigError: There are too few pictures, or a folder already exists.
    """
    by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in reversed(list_images(source))}
    if len(by_hash) < 2 * LEAST_HELD_OUT:
        raise ConfigError(
            f"{source} has {len(by_hash)} different pictures, too few to hold {LEAST_HELD_OUT} of them out; "
            f"{2 * LEAST_HELD_OUT} or more can be split"
        )
    for folder in (held_out, trained):
        if folder.exists():
            raise ConfigError(f"{folder} already exists; remove it, or name both folders")
    count = max(LEAST_HELD_OUT, round(len(by_hash) * HELD_OUT_SHARE))
    ordered = [by_hash[digest] for digest in sorted(by_hash)]
    for folder, members in ((held_out, ordered[:count]), (trained, ordered[count:])):
        folder.mkdir(parents=True)
        for path in members:
            _copy(path, folder)
    return count, len(ordered) - count


def _copy(path: Path, folder: Path) -> None:
    shutil.copy2(path, folder)
    caption = path.with_suffix(".txt")
    if caption.is_file():
        shutil.copy2(caption, folder)
