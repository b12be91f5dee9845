"""The types of the document's parts are those of schema.json: its keys, and what each holds."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from lora_checks.record.shapes import Document, Question
from lora_checks.record.shapes.votes import Votes

SCHEMA: dict[str, Any] = json.loads(resources.files("lora_checks.report").joinpath("schema.json").read_text())
SIMPLE = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return resolved(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "allOf" in schema:  # the question: a run, and more
        first, second = map(resolved, schema["allOf"])
        properties = {**first["properties"], **second["properties"]}
        return {"properties": properties, "required": [*first["required"], *second["required"]]}
    return schema


def alternatives(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return one schema for each type that a value may have."""
    schema = resolved(schema)
    if listed := schema.get("oneOf") or schema.get("anyOf"):
        return [one for inner in listed for one in alternatives(inner)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    if "const" in schema:
        return [{"enum": [schema["const"]]}]
    return [schema]


def differences(hint: Any, schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Say where a type and a schema differ."""
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    words = {word for one in members if get_origin(one) is Literal for word in get_args(one)}
    schemas = alternatives(schema)
    enum = {word for one in schemas if "enum" in one for word in one["enum"]}
    nullable = type(None) in members
    if (words | ({None} if None in enum and nullable else set())) != enum:
        yield f"{at}: words {sorted(map(str, words))}, in the schema {sorted(map(str, enum))}"
    if nullable != (None in enum or any(one.get("type") == "null" for one in schemas)):
        yield f"{at}: null"
    left = [one for one in members if get_origin(one) is not Literal and one is not type(None)]
    others = [one for one in schemas if "enum" not in one and one.get("type") != "null"]
    if len(left) != len(others):
        yield f"{at}: {len(left)} types, in the schema {len(others)}"
    for inner, one in zip(left, others, strict=False):
        yield from of_type(inner, one, at)


def of_type(hint: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if is_typeddict(hint):
        yield from of_keys(hint, schema, at)
    elif get_origin(hint) is list:
        yield from differences(get_args(hint)[0], schema["items"], f"{at}/*")
    elif get_origin(hint) is tuple:
        if len(get_args(hint)) != len(schema["prefixItems"]):
            yield f"{at}: length"
        for i, (inner, one) in enumerate(zip(get_args(hint), schema["prefixItems"], strict=False)):
            yield from differences(inner, one, f"{at}/{i}")
    elif get_origin(hint) is dict:
        inner = schema.get("additionalProperties", {})
        if get_args(hint)[1] is not Any:
            yield from differences(get_args(hint)[1], inner, f"{at}/*")
    elif schema.get("type") != ("object" if hint is Any else SIMPLE[hint]):
        yield f"{at}: {hint}, in the schema {schema.get('type')}"


def of_keys(hint: Any, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    keys, properties = get_type_hints(hint, include_extras=True), schema["properties"]
    for key in keys.keys() ^ properties.keys():
        yield f"{at}/{key}: is in only one of them"
    required = {key for key, inner in keys.items() if key in hint.__required_keys__ and not _optional(inner)}
    for key in required ^ set(schema.get("required", ())):
        yield f"{at}/{key}: must be there in only one of them"
    for key in keys.keys() & properties.keys():
        inner = get_args(keys[key])[0] if _optional(keys[key]) else keys[key]
        yield from differences(inner, properties[key], f"{at}/{key}")


def _optional(hint: Any) -> bool:
    return get_origin(hint) is NotRequired


@pytest.mark.parametrize(
    ("shape", "schema"),
    [(Document, SCHEMA), (Question, SCHEMA["$defs"]["question"]), (Votes, SCHEMA["$defs"]["votes"])],
)
def test_the_types_are_those_of_the_schema(shape: Any, schema: Mapping[str, Any]) -> None:
    assert list(of_keys(shape, resolved(schema), "")) == []


@pytest.mark.parametrize(
    ("place", "part"),
    [
        (("row", "properties", "check"), {"type": ["string", "null"]}),
        (("row", "properties", "outcome"), {"enum": ["PASS"]}),
        (("measurement", "properties", "value"), {"type": "number"}),
        (("measurement", "properties", "worst"), {"type": "null"}),
        (("run", "properties", "colour"), {"type": "string"}),
        (("change", "required"), []),
    ],
)
def test_a_schema_that_says_otherwise_is_noticed(
    place: tuple[str, ...], part: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside: Any = SCHEMA["$defs"]
    for key in place[:-1]:
        inside = inside[key]
    monkeypatch.setitem(inside, place[-1], part)
    assert list(of_keys(Document, SCHEMA, ""))
