"""Look up by name what other packages and files add to the gate; nothing is imported before its name is used.

A package uses an entry point for this; a file such as ``conftest.py`` uses a decorator.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from lora_checks.core import packages
from lora_checks.core.errors import ConfigError, LoraChecksError, first_line

T = TypeVar("T")

_NAME = re.compile(r"[\w.-]+")  # no comma or colon: they separate names in an option


@dataclass(frozen=True, slots=True)
class Extension:
    """One name that a package or a file adds to an `ExtensionPoint`."""

    name: str
    source: str  # "shades 0.2", a distribution and its version, or the path of the file
    file: str  # the declaring file; "" if a package adds it
    load: Callable[[], Any]  # raises `ConfigError`

    @property
    def version(self) -> str:
        """Return "shades-0.2" for a distribution, "" for a file."""
        return "" if self.file else self.source.replace(" ", "-")


class ExtensionPoint:
    """A list of names that the gate knows and that packages and files can extend.

    Args:
        group: The group of entry points, such as ``lora_checks.networks``.
        noun: What one entry is called in messages.
        builtin: The names that the gate itself uses.
    """

    def __init__(self, group: str, noun: str, builtin: Collection[str]) -> None:
        self.group, self.noun, self._builtin = group, noun, builtin
        self._declared: dict[str, tuple[Any, str]] = {}

    def declare(self, name: str, depth: int = 1) -> Callable[[T], T]:
        """Return a decorator that adds its target as ``name``.

        Args:
            name: Letters, digits, ``_``, ``-`` and ``.``.
            depth: How many frames lie between this call and the declaring file.

        Raises:
            ConfigError: The name is not usable, is the gate's own, or another file declares it too.
        """
        file = str(Path(sys._getframe(depth).f_code.co_filename).resolve())
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{file}: {name!r} cannot name this {self.noun}; use letters, digits, _, - and ."
            )
        if name in self._builtin:
            raise ConfigError(
                f"{self.noun} '{name}' is declared in {file}, but {_ours()} has one of that name; rename it"
            )
        _, other = self._declared.get(name, (None, file))
        if other != file:
            raise ConfigError(f"{self.noun} '{name}' is declared in {other} and in {file}; rename one")

        def add(target: T) -> T:
            self._declared[name] = target, file
            return target

        return add

    def get(self, name: str) -> Extension | None:
        """Return the extension of that name, not yet imported; None if nobody adds one.

        Raises:
            ConfigError: Two distributions use the name, or one uses a name of the gate's own.
        """
        entries = [entry for entry in self._entries() if entry.name == name]
        owners = list(map(_distribution, entries))
        if owners and name in self._builtin:
            owners = [_ours(), *owners]
        if len(owners) > 1:
            raise ConfigError(
                f"{self.noun} '{name}' is in both {' and '.join(owners)}; uninstall one of them"
            )
        if entries:
            source = _distribution(entries[0])
            return Extension(name, source, "", lambda: self._import(entries[0], source))
        if name in self._declared:
            target, file = self._declared[name]
            return Extension(name, file, file, lambda: target)
        return None

    def names(self) -> list[str]:
        """Return the names that packages and files add, sorted."""
        return sorted({entry.name for entry in self._entries()} | self._declared.keys())

    def _entries(self) -> list[metadata.EntryPoint]:
        return _entry_points(self.group, tuple(sys.path))

    def _import(self, entry: metadata.EntryPoint, source: str) -> Any:
        try:
            target = entry.load()
        except LoraChecksError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"{self.noun} '{entry.name}' of {source} cannot be imported from {entry.value}: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from error
        declared, file = self._declared.get(entry.name, (target, ""))
        if declared is not target:
            raise ConfigError(f"{self.noun} '{entry.name}' is in {source} and in {file}; rename one")
        return target


def load_file(path: Path) -> None:
    """Run a Python file for the extensions that it declares, as pytest does with a ``conftest.py``.

    Raises:
        ConfigError: The file does not exist or cannot be imported.
    """
    spec = importlib.util.spec_from_file_location(path.stem, path.absolute())
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file")
    try:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    except LoraChecksError:
        raise
    except Exception as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {first_line(error)}") from error


def code_of(extension: Extension, target: Any) -> str:
    """Return a digest of the file that holds the target; "" if it is in no file."""
    module = sys.modules.get(getattr(target, "__module__", ""))
    file = Path(extension.file or getattr(module, "__file__", None) or "")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def _ours() -> str:
    return f"{packages.NAME} {packages.version()}"


def _distribution(entry: metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else f"the module {entry.module}"


@lru_cache(maxsize=16)
def _entry_points(group: str, path: tuple[str, ...]) -> list[metadata.EntryPoint]:
    """Read a group from every distribution on ``path``, once."""
    del path  # the key of the cache: pytest puts folders on sys.path as it goes
    return list(metadata.entry_points(group=group))
