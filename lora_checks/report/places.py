"""Find the line of thresholds.yaml that declares a row, as a path in the CI checkout."""

from __future__ import annotations

from pathlib import Path

from lora_checks.record.shapes.rows import Threshold


def place(threshold: Threshold | None, root: Path | None) -> tuple[str, int]:
    """Return the file and line of a row, or ("", 1) if unknown or outside ``root``."""
    file, _, line = (threshold["source"] if threshold else "").rpartition(":")
    if not file or not line.isdecimal():
        return "", 1
    path = relative(file, root)
    return (path, int(line)) if path else ("", 1)


def relative(file: str, root: Path | None) -> str:
    """Return a path relative to ``root`` with forward slashes, or "" if it lies outside."""
    path = Path(file)
    if not path.is_absolute():
        return path.as_posix()
    if root is None or not path.resolve().is_relative_to(root.resolve()):
        return ""
    return path.resolve().relative_to(root.resolve()).as_posix()
