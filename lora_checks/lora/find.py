"""Find the files that ``--lora`` arguments name, and give each a unique name."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.lora.bundles import first_of

SUFFIX = ".safetensors"


def find_loras(arguments: Sequence[str], root: Path) -> tuple[Path, ...]:
    """Expand files, directories and patterns, in order and without duplicates.

    Two halves of one LoRA (`bundles`) count once, as the first of them. Whether a file is a LoRA is not
    checked here.

    Raises:
        ConfigError: An argument matches nothing.
    """
    files: dict[str, Path] = {}
    for argument in arguments:
        try:
            paths = _expand(argument, root)
        except OSError as error:
            raise ConfigError(f"--lora: {argument}: {error.strerror}") from error
        for path in map(first_of, paths):
            files.setdefault(os.path.realpath(path), path)
    return tuple(files.values())


def _expand(argument: str, root: Path) -> list[Path]:
    if not argument.strip():
        raise ConfigError("--lora: the argument is empty (an unset variable?); name a file")
    path = root / os.path.expanduser(argument)  # noqa: PTH111  # Path.expanduser raises for unknown users
    if path.is_dir():
        return _in_directory(path)
    if path.exists() or path.is_symlink():  # a name with [ ] in it may be a file and not a pattern
        return [path]
    if glob.has_magic(argument):
        return _matching(argument, path)
    raise ConfigError(f"--lora: {_missing(path)}")


def _in_directory(directory: Path) -> list[Path]:
    loras = [path for path in directory.iterdir() if _is_lora(path)]
    if loras:
        return sorted(loras, key=natural)
    names = sorted(path.name + "/" * path.is_dir() for path in directory.iterdir())
    holds = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    deeper = any(directory.glob(f"*/*{SUFFIX}"))
    hint = f"; for its subfolders write '{directory}/*/*{SUFFIX}'" if deeper else ""
    raise ConfigError(f"--lora: {directory} has no *{SUFFIX} file, it holds: {holds or 'nothing'}{hint}")


def _matching(pattern: str, path: Path) -> list[Path]:
    found = [Path(name) for name in glob.glob(str(path), recursive=True)]  # noqa: PTH207  # as the shell does it
    files = [path for path in found if not path.is_dir()]
    if not files:
        raise ConfigError(f"--lora: no file matches '{pattern}' ({path})")
    # 'run/*' also matches logs and optimizer states; if nothing else matches, each gets its own error.
    return sorted([path for path in files if _is_lora(path)] or files, key=natural)


def _is_lora(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX and path.name[0] != "." and not path.is_dir()


def _missing(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"{path} does not exist, nor does its folder"
    close = get_close_matches(path.name, [entry.name for entry in parent.iterdir()], n=1)
    return f"{path} does not exist" + (f"; did you mean '{close[0]}'?" if close else "")


def natural(path: Path) -> list[str | int]:
    """Return a sort key that puts step-9 before step-10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", str(path)))]


def lora_names(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the stem of each file, with as many parent folders as needed to make it unique."""
    parts = [Path(os.path.abspath(path)).with_suffix("").parts[1:] for path in paths]  # noqa: PTH100  # keeps symlinks
    names = [own_parts[-1] for own_parts in parts]
    for depth in range(2, max(map(len, parts), default=0) + 1):
        clashing = _clashing(names)
        names = ["-".join(p[-depth:]) if i in clashing else names[i] for i, p in enumerate(parts)]
    clashing = _clashing(names)
    return tuple(f"{name}-{i + 1}" if i in clashing else name for i, name in enumerate(names))


def _clashing(names: Sequence[str]) -> set[int]:
    """Return the indices of names that are not unique, ignoring case as some file systems do."""
    counts = Counter(name.casefold() for name in names)
    return {i for i, name in enumerate(names) if counts[name.casefold()] > 1}
