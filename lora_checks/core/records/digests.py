"""Digests of values and records, the same on every machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path


def digest(value: object) -> str:
    """Return the SHA-256 (hex) of a JSON-like value or record, independent of key order."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot take a digest of {type(value).__name__}")
