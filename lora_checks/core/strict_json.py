"""Parse JSON strictly: no repeated keys, no NaN or infinity."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from lora_checks.core.errors import ReleaseError, first_line


def strict_json(content: bytes, what: str) -> dict[str, Any]:
    """Parse one JSON object; reject repeated keys, which two readers could understand differently.

    Args:
        content: The JSON text.
        what: What is read, as the subject of the error message.

    Raises:
        ReleaseError: The content is not such an object.
    """
    try:
        value = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{what} is not JSON: {first_line(error)}") from error
    if not isinstance(value, dict):
        raise ReleaseError(f"{what} is not a JSON object")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a key is repeated in one object")
    return entries


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")
