"""Seal stored content with its own digest, to detect flipped bits, truncated files and swapped names.

A seal protects against disk faults and accidents. It is not a signature: anyone who edits a store on purpose
can seal the result again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lora_checks.core.records import digest

LENGTH = 32  # bytes of a seal, at the end
KEY = "sha256"  # of a sealed JSON object


def seal(content: bytes, name: str = "") -> bytes:
    """Return ``content`` followed by its seal, ready to be stored under ``name``."""
    return content + _of(name, content)


def unseal(sealed: bytes, name: str = "") -> bytes | None:
    """Return the content without its seal; None if the bytes are not those sealed under ``name``."""
    if len(sealed) < LENGTH or sealed[-LENGTH:] != _of(name, memoryview(sealed)[:-LENGTH]):
        return None
    return sealed[:-LENGTH]


def seal_json(record: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Return ``record`` with a digest of its values under `KEY`, independent of key order and white space."""
    return {**record, KEY: digest([name, _plain(record)])}


def unseal_json(record: object, name: str = "") -> dict[str, Any] | None:
    """Return the record without its digest; None if the digest is missing or wrong."""
    if not isinstance(record, dict) or KEY not in record:
        return None
    content = {key: value for key, value in record.items() if key != KEY}
    return content if record[KEY] == digest([name, content]) else None


def _of(name: str, content: bytes | memoryview) -> bytes:
    hashed = hashlib.sha256(f"{len(name)} {name}".encode(errors="surrogateescape"))
    hashed.update(content)
    return hashed.digest()


def _plain(record: Mapping[str, Any]) -> Any:
    """Convert the record to what JSON reads back: lists for tuples."""
    return json.loads(json.dumps(record))
