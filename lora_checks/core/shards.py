"""Name many files at once, as WebDataset does: ``shards/{00000..00049}.tar``, ``part-*.parquet``."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lora_checks.core.errors import ConfigError

SUFFIXES = (".tar", ".parquet", ".arrow")  # files that hold pictures
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
MOST = 1_000_000  # names of one pattern


def is_pattern(path: Path) -> bool:
    """Return whether a path stands for several files by braces or wildcards, and is not itself there."""
    text = str(path)
    return (bool(_BRACES.search(text)) or glob.has_magic(text)) and not path.exists()


def holds_pictures(path: Path) -> bool:
    """Return whether a path names one or several files that hold pictures."""
    return path.name.endswith((*SUFFIXES, *COMPRESSED)) and (is_pattern(path) or path.is_file())


def expanded(pattern: Path) -> tuple[Path, ...]:
    """Return the files that a path with braces or wildcards names; of braces in their order, else by name.

    Raises:
        ConfigError: A file that braces name is not there, wildcards match none, or a file is named twice.
    """
    if not is_pattern(pattern):
        return (pattern,)
    found: list[Path] = []
    for text in _braced(str(pattern)):
        paths = sorted(map(Path, glob.glob(text))) if glob.has_magic(text) else [Path(text)]  # noqa: PTH207
        absent = [path for path in paths if not path.is_file()]
        if absent or not paths:
            what = f"{absent[0]} is not a file" if absent else f"no file matches {text}"
            raise ConfigError(f"{pattern}: {what}; name the files that are there")
        found += paths
    twice = next((path for path, times in Counter(found).items() if times > 1), None)
    if twice is not None:
        raise ConfigError(f"{pattern}: names {twice} twice")
    return tuple(found)


def _braced(text: str) -> Iterator[str]:
    """Yield the text with each way to choose from its braces; numbers keep their width."""
    match = _BRACES.search(text)
    if match is None:
        yield text
        return
    for choice in _choices(match[1]):
        yield from _braced(text[: match.start()] + choice + text[match.end() :])


def _choices(inside: str) -> list[str]:
    numbers = _RANGE.fullmatch(inside)
    if numbers is None:
        return inside.split(",")
    first, last = int(numbers[1]), int(numbers[2])
    if not first <= last < first + MOST:
        raise ConfigError(f"{{{inside}}}: count from the lower number to the higher one")
    return [f"{number:0{len(numbers[1])}}" for number in range(first, last + 1)]
