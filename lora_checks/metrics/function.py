"""A metric's function as its author wrote it: where it is, what it depends on, and what it must not do."""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from lora_checks.core.errors import LoraChecksError, MeasureError, first_line
from lora_checks.core.rounding import shortest

CONSTANTS = (bool, int, float, str, tuple)


def home(fn: Callable[..., Any]) -> str:
    """The file that it is written in; every conftest.py is the module "conftest"."""
    written = inspect.unwrap(fn)
    return os.path.realpath(written.__code__.co_filename) if isinstance(written, FunctionType) else ""


def guarded(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The same function; what it raises becomes a `MeasureError` with the line."""

    @functools.wraps(fn)
    def called(*arguments: Any) -> Any:
        try:
            return fn(*arguments)
        except LoraChecksError:
            raise
        except Exception as error:
            lines = [
                frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__
            ]
            where = f" ({Path(lines[-1].filename).name}:{lines[-1].lineno})" if lines else ""
            said = f"{type(error).__name__}: {first_line(error)}"
            raise MeasureError(f"{fn.__name__} raised {said}{where}") from error

    return called


def one_number(name: str, found: Any) -> float:
    """`MeasureError` where a metric's function returned something else."""
    try:
        values = np.asarray(found)
        narrow = values.shape == () and values.dtype.kind == "f"
        return float(shortest(values[None])[0]) if narrow else float(found)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name} returned {type(found).__name__}, and no number") from error


def code(fn: Callable[..., Any]) -> str:
    """Digest of its source and of the functions and constants of its own file that it names.

    What it takes from other files is not looked at: raise the metric's ``version`` where that changes.
    """
    parts: list[str] = []
    waiting, seen = [inspect.unwrap(fn)], set[Any]()
    while waiting:
        one = waiting.pop()
        if one in seen or not isinstance(one, FunctionType):
            continue
        seen.add(one)
        parts.append(_source(one))
        for name in sorted(set(_names(one.__code__))):
            value = one.__globals__.get(name)
            if isinstance(value, FunctionType) and value.__module__ == one.__module__:
                waiting.append(value)
            elif isinstance(value, CONSTANTS):
                parts.append(f"{name} = {value!r}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _source(fn: FunctionType) -> str:
    try:
        return inspect.getsource(fn)
    except (OSError, TypeError):  # typed in, and in no file
        return fn.__code__.co_code.hex() + repr(fn.__code__.co_consts)


def _names(code: CodeType) -> Iterator[str]:
    """With those of the comprehensions and functions inside."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
