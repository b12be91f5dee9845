"""Read ``axes:`` of thresholds.yaml: what LoRAs differ in beyond step, strength and rank, by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath

from lora_checks.policy.strict_yaml import Value

Axes = Mapping[str, tuple[tuple[str, str], ...]]  # key -> (pattern of a LoRA's name or path, value)
RESERVED = ("lora", "run", "check", "metric", "outcome", "value", "prompt", "seed", "image", "file", "text")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")


def axes_of(value: Value) -> Axes:
    """Return each key with its patterns and their values, in order. Raises `ConfigError`."""
    axes: dict[str, tuple[tuple[str, str], ...]] = {}
    for key, patterns in value.mapping().items():
        if not _KEY.fullmatch(key) or key in RESERVED:
            raise patterns.error(
                f"'{key}' cannot be a key: use 1 to 64 of a-z 0-9 _, begin with a letter, and take another "
                f"word than {', '.join(RESERVED)}"
            )
        axes[key] = tuple((pattern, _text(entry)) for pattern, entry in patterns.mapping().items())
        if not axes[key]:
            raise patterns.error('names no LoRA; write patterns with values, such as {"*-r16*": 16}')
    return axes


def keys_by(axes: Axes, name: str, path: PurePath) -> dict[str, str]:
    """Return what the policy's axes say of a LoRA: of each key the value of the first pattern that fits."""
    keys = {}
    for key, patterns in axes.items():
        fitting = (value for pattern, value in patterns if _fits(pattern, name, path))
        if value := next(fitting, ""):
            keys[key] = value
    return keys


def _fits(pattern: str, name: str, path: PurePath) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(path.as_posix(), pattern)


def _text(entry: Value) -> str:
    number = isinstance(entry.data, int | float) and not isinstance(entry.data, bool)
    return f"{entry.number():g}" if number else entry.text()
