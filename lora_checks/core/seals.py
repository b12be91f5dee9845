"""Bytes that carry their own digest: a flipped bit, half a file, or a file under another's name is found.

A seal guards against disks and accidents. It is no signature: whoever edits a store with intent can seal it
again.
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
    """``content`` as it is kept under ``name``."""
    return content + _of(name, content)


def unseal(kept: bytes, name: str = "") -> bytes | None:
    """The content; None where the bytes are not those that were sealed under ``name``."""
    content, found = kept[:-LENGTH], kept[-LENGTH:]
    return content if len(kept) >= LENGTH and found == _of(name, content) else None


def seal_json(record: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """``record`` with its digest under `KEY`: of the values, whatever the spaces and the order of keys."""
    return {**record, KEY: digest([name, _plain(record)])}


def unseal_json(record: object, name: str = "") -> dict[str, Any] | None:
    """The record without its digest; None where it has another one or none."""
    if not isinstance(record, dict) or KEY not in record:
        return None
    content = {key: value for key, value in record.items() if key != KEY}
    return content if record[KEY] == digest([name, content]) else None


def _of(name: str, content: bytes) -> bytes:
    return hashlib.sha256(f"{len(name)} {name}".encode(errors="surrogateescape") + content).digest()


def _plain(record: Mapping[str, Any]) -> Any:
    """As it is read back: with lists for tuples."""
    return json.loads(json.dumps(record))
