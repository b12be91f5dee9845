"""Where a row of a report was written, as a path in the repository that CI has checked out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def place(threshold: Mapping[str, Any] | None, root: Path | None) -> tuple[str, int]:
    """File and line of a row of thresholds.yaml; ("", 1) where it has none, or lies outside ``root``."""
    file, _, line = str((threshold or {}).get("source", "")).rpartition(":")
    if not file or not line.isdecimal():
        return "", 1
    path = relative(file, root)
    return (path, int(line)) if path else ("", 1)


def relative(file: str, root: Path | None) -> str:
    """ "gate/thresholds.yaml" with forward slashes; "" for what lies outside ``root``."""
    path = Path(file)
    if not path.is_absolute():
        return path.as_posix()
    if root is None or not path.resolve().is_relative_to(root.resolve()):
        return ""
    return path.resolve().relative_to(root.resolve()).as_posix()
