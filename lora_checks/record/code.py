"""Files of code as a record names them: without the machine's folders, so that they are found on another."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent  # lora_checks
GATE = "gate:"  # before a file of the gate's own, or of its checkout


def named(path: Path, roots: Iterable[Path]) -> str:
    """Relative to the first root that it lies in; of the gate "gate:..."; else its name alone."""
    if PACKAGE in path.parents or path == PACKAGE.parent / "conftest.py":
        return GATE + path.relative_to(PACKAGE.parent).as_posix()
    for root in roots:
        if root.resolve() in path.parents:
            return path.relative_to(root.resolve()).as_posix()
    return path.name


def found(name: str, roots: Iterable[Path]) -> Path | None:
    """The file of that name here; None where there is none."""
    if name.startswith(GATE):
        path = PACKAGE.parent / name.removeprefix(GATE)
        return path if path.is_file() else None
    return next((root / name for root in roots if (root / name).is_file()), None)
