"""Check a document against ``report/schema.json``, and name the first part that is wrong.

The file is JSON Schema 2020-12, and the tests validate it with jsonschema. A run uses this module instead: it
knows only the keywords that the file uses, and describes a fault in one sentence about one place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lora_checks.core.words import printable

SCHEMA = Path(__file__).parent.parent / "report" / "schema.json"
Schema = Mapping[str, Any]
LARGEST = 2**64  # the largest integer, since seeds have 64 bits
Problems = Iterator[str]  # "/run/seeds/0: must be an integer, not a string"

_NAMES = {
    "object": "an object",
    "array": "a list",
    "string": "a string",
    "boolean": "true or false",
    "integer": "an integer",
    "number": "a number",
    "null": "null",
}


def problem(document: Any, part: str = "", without: Collection[str] = ()) -> str:
    """Return a sentence about the first part that does not match the schema; "" if all parts do.

    Args:
        document: a report, or a part of one.
        part: the name of the part's definition in the schema; "" for a whole report.
        without: keys of the part that the document does not have yet.
    """
    schema = _schema()["$defs"][part] if part else _schema()
    if without:
        properties = {key: value for key, value in schema["properties"].items() if key not in without}
        required = [key for key in schema["required"] if key not in without]
        schema = {**schema, "properties": properties, "required": required}
    return printable(next(_problems(document, schema, ""), ""))


@cache
def _schema() -> Schema:
    schema: Schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return schema


def _problems(value: Any, schema: Schema, at: str) -> Problems:
    for keyword, wanted in schema.items():
        yield from _KEYWORDS[keyword](value, wanted, schema, at)


def _type(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    if not any(_is(value, kind) for kind in kinds):
        yield f"{_place(at)} must be {' or '.join(_NAMES[kind] for kind in kinds)}, not {_shown(value)}"


def _is(value: Any, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool) and _finite(value)
    types: dict[str, Any] = {
        "object": Mapping,
        "array": list,
        "string": str,
        "boolean": bool,
        "null": type(None),
    }
    return isinstance(value, types[kind])


def _finite(value: float) -> bool:
    """Tell whether a float can hold the number; JSON allows 400 digits."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _properties(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, Mapping):
        for key in [key for key in value if key in wanted]:
            yield from _problems(value[key], wanted[key], f"{at}/{_escaped(key)}")


def _required(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, Mapping):
        yield from (f"{_place(f'{at}/{_escaped(key)}')} is missing" for key in wanted if key not in value)


def _additional(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    if not isinstance(value, Mapping):
        return
    for key in [key for key in value if key not in schema.get("properties", {})]:
        if wanted is False:
            yield f"{_place(f'{at}/{_escaped(key)}')} is not a part of a report"
        elif wanted is not True:
            yield from _problems(value[key], wanted, f"{at}/{_escaped(key)}")


def _dependent(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    if isinstance(value, Mapping):
        for key in [key for key in wanted if key in value]:
            yield from _required(value, wanted[key], schema, at)


def _items(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    if isinstance(value, list):
        first = len(schema.get("prefixItems", ()))
        for i, item in enumerate(value[first:], start=first):
            yield from _problems(item, wanted, f"{at}/{i}")


def _prefix(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, list):
        for i, (item, of_item) in enumerate(zip(value, wanted, strict=False)):
            yield from _problems(item, of_item, f"{at}/{i}")


def _least_items(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, list) and len(value) < wanted:
        yield f"{_place(at)} must hold {wanted} items, not {len(value)}"


def _most_items(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, list) and len(value) > wanted:
        yield f"{_place(at)} must hold {wanted} items, not {len(value)}"


def _one_of_these(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if not any(value == word and isinstance(value, bool) == isinstance(word, bool) for word in wanted):
        yield f"{_place(at)} must be one of {', '.join(map(repr, wanted))}, not {_shown(value)}"


def _constant(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    yield from _one_of_these(value, [wanted], schema, at)


def _pattern(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if isinstance(value, str) and not re.search(wanted.replace("$", r"\Z"), value):
        yield f"{_place(at)} must match {wanted}, not {_shown(value)}"


def _minimum(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if _is(value, "number") and value < wanted:
        yield f"{_place(at)} must be at least {wanted}, not {_shown(value)}"


def _maximum(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if _is(value, "number") and value > wanted:
        yield f"{_place(at)} must be at most {wanted}, not {_shown(value)}"


def _above(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    if _is(value, "number") and value <= wanted:
        yield f"{_place(at)} must be above {wanted}, not {_shown(value)}"


def _reference(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    del schema
    yield from _problems(value, _schema()["$defs"][wanted.removeprefix("#/$defs/")], at)


def _alternatives(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    """If all alternatives fail, report the fault deepest inside: that alternative has the value's type."""
    faults = [list(_problems(value, alternative, at)) for alternative in wanted]
    if all(faults):
        yield max(faults, key=lambda problems: problems[0].count("/"))[0]


def _all(value: Any, wanted: Any, _schema: Schema, at: str) -> Problems:
    for part in wanted:
        yield from _problems(value, part, at)


def _if(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    holds = not any(True for _ in _problems(value, wanted, at))
    yield from _problems(value, schema.get("then" if holds else "else", {}), at)


def _nothing(value: Any, wanted: Any, schema: Schema, at: str) -> Problems:
    """Accept a keyword that is for people, or that another keyword reads."""
    del value, wanted, schema, at
    yield from ()


_KEYWORDS: Mapping[str, Callable[[Any, Any, Schema, str], Problems]] = {
    "type": _type,
    "properties": _properties,
    "required": _required,
    "dependentRequired": _dependent,
    "additionalProperties": _additional,
    "items": _items,
    "prefixItems": _prefix,
    "minItems": _least_items,
    "maxItems": _most_items,
    "enum": _one_of_these,
    "const": _constant,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "exclusiveMinimum": _above,
    "$ref": _reference,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "allOf": _all,
    "if": _if,
    **dict.fromkeys(("$schema", "$id", "$defs", "title", "description", "then", "else"), _nothing),
}


def _escaped(key: object) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _place(at: str) -> str:
    return at or "the whole document"


def _shown(value: object) -> str:
    if isinstance(value, Mapping | list):
        return _NAMES["object" if isinstance(value, Mapping) else "array"]
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
