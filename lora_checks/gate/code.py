"""The code that judged: the files a run took functions from, and functions that replaced the gate's own.

A ``conftest.py`` is Python and can do anything, so nothing here stops somebody who wants to hide a change.
The digests show a change to whoever reviews and verifies.
"""

from __future__ import annotations

import ast
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.core.files import file_sha256
from lora_checks.core.records import Policy
from lora_checks.metrics.function import home
from lora_checks.record.code import PACKAGE, named

WRAPPERS = ("functools", "_pytest", "pluggy")  # modules whose objects wrap a decorated function
MISSING = object()


def of_run(
    policy: Policy, source: object, plugins: Iterable[object] = (), roots: Sequence[Path] = ()
) -> list[dict[str, Any]]:
    """Return each file with its digest and what it is for; the gate's own only if a row's metric is in them.

    Args:
        policy: the policy in force.
        source: the source of the images, which a package may have added.
        plugins: pytest's plugins, which include each conftest.py.
        roots: folders of the project; what was imported from them is listed.
    """
    reasons = _metrics_of(policy)
    supplier = _file(sys.modules.get(type(source).__module__))
    if supplier is not None and PACKAGE not in supplier.parents:
        reasons.setdefault(supplier, set()).add("image source")
    local = tuple(str(root.resolve()).rstrip(os.sep) + os.sep for root in roots)
    for path in filter(None, map(_file, list(sys.modules.values()))):
        if str(path).startswith(local) and not _is_installed(path):  # text: it is asked thousands of times
            reasons.setdefault(path, set()).add("module")
    for path in filter(None, map(_file, plugins)):  # two conftest.py share one name
        if path.name == "conftest.py" or not _is_installed(path):
            reasons.setdefault(path, set()).add("conftest" if path.name == "conftest.py" else "plugin")
    return [
        {"file": named(path, (*roots, policy.directory)), "sha256": file_sha256(path), "for": sorted(why)}
        for path, why in sorted(reasons.items())
        if path.is_file()
    ]


def uses_other_code(policy: Policy) -> bool:
    """Tell whether a row's metric is declared outside the gate, so that files of the project judge too."""
    return any(PACKAGE not in path.parents for path in _metrics_of(policy))


def _metrics_of(policy: Policy) -> dict[Path, set[str]]:
    """Return the files of the rows' metrics, and the metrics in each."""
    reasons: dict[Path, set[str]] = {}
    for row in policy.thresholds:
        try:
            path = Path(home(metrics.of_row(row).fn))
        except ConfigError:  # only the workers of pytest-xdist know it
            continue
        reasons.setdefault(path, set()).add(f"metric {row.metric}")
    return reasons


def _file(module: object) -> Path | None:
    name = getattr(module, "__file__", None) if isinstance(module, ModuleType) else None
    return _resolved(name) if isinstance(name, str) and name.endswith(".py") else None


@cache
def _resolved(name: str) -> Path:
    """Return ``Path(name).resolve()``, with each folder resolved once: a run has thousands of files."""
    path = Path(name)
    return path.resolve() if path.is_symlink() else _folder(path.parent) / path.name


@cache
def _folder(path: Path) -> Path:
    return path.resolve()


def _is_installed(path: Path) -> bool:
    parents = path.parents
    return PACKAGE in parents or "site-packages" in path.parts or any(p in parents for p in _places())


@cache
def _places() -> frozenset[Path]:
    """Return where Python keeps installed modules; a run loads thousands of them."""
    places = {Path(place).resolve() for place in sysconfig.get_paths().values()}
    return frozenset(places - {Path(sys.prefix).resolve()})


def replaced() -> list[str]:
    """Name the gate's functions that do not come from its files: "lora_checks.metrics.identity.arcface"."""
    names: list[str] = []
    for name in sorted(name for name in sys.modules if name.partition(".")[0] == PACKAGE.name):
        if (path := _file(sys.modules[name])) is not None:
            names += [f"{name}.{what}" for what in _replaced_in(sys.modules[name], path)]
    return [*names, *(f"metric {name}" for name in _other_metrics())]


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
    """Tell whether a function or method, decorated or not, is defined in ``path``."""
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, cached_property):
        value = value.func
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    function = inspect.unwrap(value)
    if isinstance(function, FunctionType):
        place = _resolved(function.__code__.co_filename)
        return place is path or place == path  # mostly the former, at a tenth of the time
    return type(function).__module__.partition(".")[0] in WRAPPERS


def _imported(module: str, name: str, otherwise: Any) -> Any:
    """Return what ``from module import name`` gives now; ``otherwise`` if the module is not loaded."""
    submodule = sys.modules.get(f"{module}.{name}", otherwise)
    return vars(sys.modules[module]).get(name, submodule) if module in sys.modules else otherwise


@cache
def _declared(path: Path) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """List a module's functions, its classes with their methods, and what it imports from the gate."""
    declared: list[tuple[str, str, tuple[str, ...]]] = []
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.FunctionDef):
            declared.append(("function", node.name, ()))
        elif isinstance(node, ast.ClassDef):
            methods = tuple(part.name for part in node.body if isinstance(part, ast.FunctionDef))
            declared.append(("class", node.name, methods))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == PACKAGE.name:
            module = str(node.module)
            declared += [(module, alias.asname or alias.name, (alias.name,)) for alias in node.names]
    return tuple(declared)


def _other_metrics() -> Iterator[str]:
    """Name the gate's metrics whose function was replaced by another declaration."""
    for name, module in metrics.BUILTIN.items():
        if module in sys.modules and inspect.unwrap(metrics.get(name).fn) is not getattr(
            sys.modules[module], name, None
        ):
            yield name
