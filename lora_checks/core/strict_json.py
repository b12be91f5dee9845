"""JSON in which nothing is read twice: no repeated key, no NaN."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from lora_checks.core.errors import ReleaseError, first_line


def strict_json(content: bytes, what: str) -> dict[str, Any]:
    """One JSON object in which no key stands twice: two readers must not see two statements."""
    try:
        found = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{what} is no JSON: {first_line(error)}") from error
    if not isinstance(found, dict):
        raise ReleaseError(f"{what} is no JSON object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
