"""``[tool.lora_checks]`` in pyproject.toml: the policy, store and base of a project."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError

FILE, TABLE = "pyproject.toml", "lora_checks"
STORE = ".lora_checks"  # the default store, and where reports go when the store is at a URL


def is_url(text: str) -> bool:
    """Tell whether a store's name is a URL and not a path."""
    return "://" in text


@dataclass(frozen=True, slots=True)
class Project:
    """What a project says for all of its runs; None for what it does not say."""

    policy: str | None = None  # absolute path
    store: str | None = None  # absolute path, or a URL
    base: str | None = None  # absolute path, or a hub id

    def complete(self, options: Any, prefix: str = "") -> None:
        """Set each option that has no value: ``policy``, or with a prefix ``lora_policy``, and so on."""
        for name in self.__slots__:
            if hasattr(options, prefix + name) and getattr(options, prefix + name) is None:
                setattr(options, prefix + name, getattr(self, name))


def find(here: Path) -> Project:
    """Read the table of the nearest pyproject.toml that has one, in ``here`` or above it.

    Raises:
        ConfigError: The table has an unknown key or a value that is no text.
    """
    for folder in (here, *here.parents):
        table = _table(folder / FILE)
        if table is not None:
            return _project(folder, table)
    return Project()


def _table(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text).get("tool", {}).get(TABLE) if TABLE in text else None
    except (OSError, ValueError, AttributeError):  # whatever reads it for its own sake says what is wrong
        return None


def _project(folder: Path, table: Any) -> Project:
    where = f"{folder / FILE}: tool.{TABLE}"
    if not isinstance(table, dict):
        raise ConfigError(f"{where}: must be a table")
    known = Project.__slots__
    for key, value in table.items():
        if key not in known:
            raise ConfigError(f"{where}.{key}: unknown key; known: {', '.join(known)}")
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{where}.{key}: must be text, not {value!r}")
    base = table.get("base")
    return Project(
        policy=_path(folder, table.get("policy")),
        store=_store(folder, table.get("store")),
        base=_path(folder, base) if base and (folder / base).exists() else base,
    )


def _store(folder: Path, text: str | None) -> str | None:
    return text if text is not None and is_url(text) else _path(folder, text)


def _path(folder: Path, text: str | None) -> str | None:
    return None if text is None else str(folder / text)
