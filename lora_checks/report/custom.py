"""Outputs of a report that packages and ``conftest.py`` add: ``@output("name")`` or an entry point.

Each is a function ``(document, folder) -> paths written``. It runs after the gate's own outputs and can read
them. Its failure is one line: it changes no verdict and no file of the gate. The paths that it returns are
listed in the folder, so that the next run removes them before it judges anything.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from lora_checks.core.errors import LoraChecksError, first_line
from lora_checks.core.extensions import ExtensionPoint
from lora_checks.core.outside import harmless
from lora_checks.record.files import write_bytes, write_text

F = TypeVar("F", bound=Callable[..., Any])

BUILTIN = ("json", "markdown", "html", "csv", "parquet", "gitlab", "junit", "github")
EXTENSIONS = ExtensionPoint("lora_checks.outputs", "output", BUILTIN)
LIST = "custom-outputs.json"  # in the report's folder


@dataclass(frozen=True, slots=True)
class Written:
    """What the custom outputs did."""

    paths: list[Path] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # a line for each output that failed


def output(name: str) -> Callable[[F], F]:
    """Declare an output of the report: a function ``(document, folder) -> paths written``.

    Args:
        name: How messages call it.

    Raises:
        ConfigError: The name is one of the gate's own outputs, or another file declares it.

    Example:
        >>> @output("badge")
        ... def badge(document, folder):
        ...     (folder / "badge.txt").write_text(document["outcome"])
        ...     return [folder / "badge.txt"]
    """
    return EXTENSIONS.declare(name, depth=2)


def refuse_clashes() -> None:
    """Raise `ConfigError` if two packages add an output of one name."""
    for name in EXTENSIONS.names():
        EXTENSIONS.get(name)


def write(document: Mapping[str, Any], directory: Path, protected: Collection[str]) -> Written:
    """Write every custom output.

    Args:
        document: The report; each output gets a copy of its own.
        directory: The report's folder.
        protected: Names of the gate's files there. An output that changes one of them has it put back.
    """
    folder, written, names = directory.resolve(), Written(), EXTENSIONS.names()
    files = [folder / name for name in protected if names]
    originals = {path: path.read_bytes() for path in files if path.is_file()}
    for name in names:
        try:
            written.paths.extend(_run(name, document, folder))
        except LoraChecksError as error:
            written.troubles.append(str(error))
        except (Exception, SystemExit) as error:
            written.troubles.append(harmless(f"output '{name}': {type(error).__name__}: {first_line(error)}"))
        written.troubles.extend(_restore(name, originals))
        written.troubles.extend(_list(folder, written))
    return written


def earlier(directory: Path) -> list[Path]:
    """Return the files that custom outputs of an earlier run left in the folder, and the list of them."""
    listed, folder = directory / LIST, directory.resolve()
    try:
        names = json.loads(listed.read_text(encoding="utf-8"))["files"]
        paths = [folder / name for name in names]
        # A list that somebody else wrote must not lead out of the folder.
        inside = [path for path in paths if path.parent.resolve().is_relative_to(folder)]
    except (OSError, ValueError, KeyError, TypeError):
        return [listed]
    return [*(path for path in inside if path.is_file() or path.is_symlink()), listed]


def _run(name: str, document: Mapping[str, Any], folder: Path) -> list[Path]:
    extension = EXTENSIONS.get(name)
    if extension is None:
        return []
    returned = extension.load()(copy.deepcopy(document), folder)
    paths = [returned] if isinstance(returned, str | Path) else list(returned)
    if not all(isinstance(path, str | Path) for path in paths):
        raise TypeError("it returned something other than the paths that it wrote")
    return [folder / path for path in paths]


def _restore(name: str, originals: Mapping[Path, bytes]) -> list[str]:
    """Put back the gate's files that an output changed; return a sentence for each."""
    troubles = []
    for path, content in originals.items():
        if path.is_file() and path.read_bytes() == content:
            continue
        try:
            write_bytes(path, content)
            troubles.append(f"output '{name}' changed {path}: put back; let it write a file of its own")
        except LoraChecksError as error:
            troubles.append(f"output '{name}' changed {path}: {error}")
    return troubles


def _list(folder: Path, written: Written) -> list[str]:
    """Add what was written to the list in the folder; return a sentence if the disk refuses it."""
    files = [path for path in (*earlier(folder), *written.paths) if path != folder / LIST]
    inside = {path.relative_to(folder).as_posix() for path in files if path.is_relative_to(folder)}
    if inside:
        try:
            write_text(folder / LIST, json.dumps({"files": sorted(inside)}) + "\n")
        except LoraChecksError as error:
            return [str(error)]
    return []
