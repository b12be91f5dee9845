"""Handle a metric's function as its author wrote it: its file, the code it depends on, and its errors."""

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
    """Return the file that a function is written in; "" if there is none.

    The module's name would not do: every conftest.py is the module "conftest".
    """
    written = inspect.unwrap(fn)
    return os.path.realpath(written.__code__.co_filename) if isinstance(written, FunctionType) else ""


def guarded(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its exceptions become a `MeasureError` that names the line."""

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
            message = f"{type(error).__name__}: {first_line(error)}"
            raise MeasureError(f"{fn.__name__} raised {message}{where}") from error

    return called


def one_number(name: str, result: Any) -> float:
    """Return what a metric's function returned as a float; raise `MeasureError` if it is not a number."""
    try:
        values = np.asarray(result)
        narrow = values.shape == () and values.dtype.kind == "f"
        return float(shortest(values[None])[0]) if narrow else float(result)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name} returned {type(result).__name__} instead of a number") from error


def code(fn: Callable[..., Any]) -> str:
    """Return a digest of a function's source and of the functions and constants of its file that it uses.

    What it uses from other files is not included: raise the metric's ``version`` when that changes.
    """
    parts: list[str] = []
    waiting, seen = [inspect.unwrap(fn)], set[Any]()
    while waiting:
        function = waiting.pop()
        if function in seen or not isinstance(function, FunctionType):
            continue
        seen.add(function)
        parts.append(_source(function))
        for name in sorted(set(_names(function.__code__))):
            value = function.__globals__.get(name)
            if isinstance(value, FunctionType) and value.__module__ == function.__module__:
                waiting.append(value)
            elif isinstance(value, CONSTANTS):
                parts.append(f"{name} = {value!r}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _source(fn: FunctionType) -> str:
    try:
        return inspect.getsource(fn)
    except (OSError, TypeError):  # typed at a prompt, so not in a file
        return fn.__code__.co_code.hex() + repr(fn.__code__.co_consts)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that the code uses, including those of comprehensions and functions inside it."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
