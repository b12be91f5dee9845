"""Name files of code without the machine's folders, so that another machine finds them by the same name."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent  # lora_checks
GATE = "gate:"  # before a file of the gate's own, or of its checkout
INSTALLED = "installed:"  # before a file of an installed package


def named(path: Path, roots: Iterable[Path]) -> str:
    """Name a file so that `found` finds it on another machine.

    Returns:
        "gate:..." for a file of the gate, "installed:..." for one of an installed package, a path relative to
        the first of the roots that holds it, or else the file's name alone.
    """
    if PACKAGE in path.parents or path == PACKAGE.parent / "conftest.py":
        return GATE + path.relative_to(PACKAGE.parent).as_posix()
    packages = [root for root in _installed() if "site-packages" in root.parts]
    for root in packages:  # first: an environment may lie in the project
        if root in path.parents:
            return INSTALLED + path.relative_to(root).as_posix()
    for root in roots:
        if root.resolve() in path.parents:
            return path.relative_to(root.resolve()).as_posix()
    for root in _installed():
        if root in path.parents:
            return INSTALLED + path.relative_to(root).as_posix()
    return path.name


def found(name: str, roots: Sequence[Path]) -> Path | None:
    """Return the file of that name on this machine, or None."""
    places: Sequence[Path] = roots
    for prefix, folders in ((GATE, [PACKAGE.parent]), (INSTALLED, _installed())):
        if name.startswith(prefix):
            name, places = name.removeprefix(prefix), folders
    return next((root / name for root in places if (root / name).is_file()), None)


def _installed() -> list[Path]:
    """Return the folders that Python imports from, the deepest first."""
    folders = [Path(entry).resolve() for entry in sys.path if entry]
    return sorted(folders, key=lambda folder: -len(folder.parts))
