"""Which code judged: the files that a run took functions from, and what stands in the gate's own place.

A ``conftest.py`` is Python and can do anything, so nothing here holds back somebody who hides; the digests
make a change visible to whoever reviews and verifies.
"""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.core.files import file_sha256
from lora_checks.core.records import Policy
from lora_checks.metrics.function import home
from lora_checks.record.code import PACKAGE, named

WRAPPERS = ("functools", "_pytest", "pluggy")  # whose objects stand for a decorated function
MISSING = object()


def of_run(config: pytest.Config, policy: Policy) -> list[dict[str, Any]]:
    """Each file with its digest and what it is for; of the gate's own only those with a row's metric."""
    found: dict[Path, set[str]] = {}
    for row in policy.thresholds:
        try:
            path = Path(home(metrics.get(row.metric).fn))
        except ConfigError:  # known to the workers of pytest-xdist alone
            continue
        found.setdefault(path, set()).add(f"metric {row.metric}")
    for file in filter(None, map(_file, list(sys.modules.values()))):
        if _is_local(file, config):
            found.setdefault(file, set()).add("module")
    for file in filter(
        None, map(_file, config.pluginmanager.get_plugins())
    ):  # two conftest.py share one name
        if file.name == "conftest.py" or not _is_installed(file):
            found.setdefault(file, set()).add("conftest" if file.name == "conftest.py" else "plugin")
    roots = (config.rootpath, config.invocation_params.dir, policy.directory)
    return [
        {"file": named(path, roots), "sha256": file_sha256(path), "for": sorted(why)}
        for path, why in sorted(found.items())
        if path.is_file()
    ]


def _file(module: object) -> Path | None:
    name = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    return _resolved(name) if isinstance(name, str) and name.endswith(".py") else None


@cache
def _resolved(name: str) -> Path:
    return Path(name).resolve()


def _is_local(path: Path, config: pytest.Config) -> bool:
    """A helper that a conftest.py or a test imports from the project."""
    roots = (config.rootpath.resolve(), config.invocation_params.dir.resolve())
    return not _is_installed(path) and any(root in path.parents for root in roots)


def _is_installed(path: Path) -> bool:
    places = {Path(place).resolve() for place in sysconfig.get_paths().values()} - {
        Path(sys.prefix).resolve()
    }
    return PACKAGE in path.parents or "site-packages" in path.parts or any(p in path.parents for p in places)


def replaced() -> list[str]:
    """Functions of the gate that are not those of its files: "lora_checks.metrics.identity.arcface"."""
    found: list[str] = []
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == PACKAGE.name and (path := _file(module)) is not None:
            found += [f"{name}.{what}" for what in _replaced_in(module, path)]
    return [*found, *(f"metric {name}" for name in _other_metrics())]


def _replaced_in(module: ModuleType, path: Path) -> Iterator[str]:
    space = vars(module)
    for kind, name, inner in _declared(path):
        value = space.get(name, MISSING)
        if value is MISSING:
            continue
        if kind == "function":
            if not _is_of(value, path):
                yield name
        elif kind == "class":
            parts = vars(value) if isinstance(value, type) else {}
            if not parts or any(part in parts and not _is_of(parts[part], path) for part in inner):
                yield name
        elif value is not _imported(kind, inner[0], value):
            yield name


def _is_of(value: Any, path: Path) -> bool:
    """Whether a function or method, decorated or not, is written in ``path``."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, cached_property):
        value = value.func
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    written = inspect.unwrap(value)
    if isinstance(written, FunctionType):
        return _resolved(written.__code__.co_filename) == path
    return type(written).__module__.partition(".")[0] in WRAPPERS


def _imported(module: str, name: str, otherwise: Any) -> Any:
    """What ``from module import name`` means now; ``otherwise`` where that is not known."""
    submodule = sys.modules.get(f"{module}.{name}", otherwise)
    return vars(sys.modules[module]).get(name, submodule) if module in sys.modules else otherwise


@cache
def _declared(path: Path) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Functions, classes with their methods, and names taken from other modules of the gate."""
    found: list[tuple[str, str, tuple[str, ...]]] = []
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef):
            found.append(("function", node.name, ()))
        elif isinstance(node, ast.ClassDef):
            methods = tuple(part.name for part in node.body if isinstance(part, ast.FunctionDef))
            found.append(("class", node.name, methods))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE.name:
            found += [(str(node.module), one.asname or one.name, (one.name,)) for one in node.names]
    return tuple(found)


def _other_metrics() -> Iterator[str]:
    """Metrics of the gate under whose name another function is declared."""
    for name, module in metrics.BUILTIN.items():
        if module in sys.modules and inspect.unwrap(metrics.get(name).fn) is not getattr(
            sys.modules[module], name, None
        ):
            yield name
