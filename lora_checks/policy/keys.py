"""The keys of thresholds.yaml and prompts.yaml, for the reader, the JSON Schemas and docs/policy.md.

A key's ``value`` is a JSON Schema. It states what a schema can; the reader checks the rest (that a folder
exists, that a prompt has the trigger, that a limit can be met).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"  # of rows, folders, networks and prompts

TEXT: Schema = {"type": "string", "pattern": r"\S"}
FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
PIXELS: Schema = {"type": "integer", "minimum": 8, "multipleOf": 8}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    name: str
    value: Schema
    meaning: str  # one sentence, or a few
    required: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one mapping, and what they must fulfil together."""

    title: str  # where the mapping stands: "checks: NAME"
    keys: tuple[Key, ...]
    together: Schema | None = None  # further JSON Schema of the whole mapping

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys if key.required)

    @property
    def optional(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.keys if not key.required)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the mapping."""
        properties = {key.name: {**key.value, "description": key.meaning} for key in self.keys}
        return {
            "type": "object",
            "properties": properties,
            "required": list(self.required),
            "additionalProperties": False,
            **(self.together or {}),
        }


def listed(item: Schema, least: int = 0) -> Schema:
    """Return the schema of a list of at least ``least`` items."""
    return {"type": "array", "items": item, **({"minItems": least} if least else {})}


def named(value: Schema, least: int = 0) -> Schema:
    """Return the schema of a mapping from names to values."""
    names = {"propertyNames": {"pattern": f"^{NAME_PATTERN}$"}, "additionalProperties": value}
    return {"type": "object", **names, **({"minProperties": least} if least else {})}


def choice(options: Sequence[str]) -> Schema:
    return {"enum": list(options)}
