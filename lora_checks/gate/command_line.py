"""The gate's options on pytest's command line, read before pytest reads them.

The options once had bare names, such as ``--device``. If the gate registered them, pytest would end in an
error as soon as another plugin or a conftest.py defines one. So names that nobody else defines are read here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from lora_checks.gate.options import BARE, SWITCHES

GATING = {"--lora", "--lora-images"}


def read(parser: pytest.Parser, arguments: Sequence[str], asked: Sequence[str] = ()) -> tuple[list[str], str]:
    """Replace free bare names by the gate's own; return the arguments and a doubtful bare name, or "".

    The doubtful name is the first in ``asked`` that belongs to somebody else while the gate's option has no
    value. The user may have meant the gate, which would then use the wrong policy or base.
    """
    texts = expanded(arguments)
    bare, names = bare_names(parser, texts), _names(texts)
    if not _gates(texts, bare):
        return list(arguments), ""
    others = (name for name in map(name_of, options_of(asked)) if name in BARE.keys() - bare)
    return _renamed(texts, bare), next((name for name in others if BARE[name] not in names), "")


def bare_names(parser: pytest.Parser, arguments: Sequence[str]) -> set[str]:
    """Return the bare names among the arguments that mean the gate: in a gating run, the free ones."""
    texts = expanded(arguments)
    free = _free_names(parser, texts)
    return free if _gates(texts, free) else set()


def expanded(arguments: Sequence[object]) -> list[str]:
    """Return the arguments as text, with each @file replaced by its lines, as argparse does."""
    texts: list[str] = []
    for argument in map(str, arguments):
        try:
            lines = Path(argument[1:]).read_text().splitlines() if argument.startswith("@") else None
        except (OSError, ValueError):  # pytest reports what is wrong with it
            lines = None
        texts += [argument] if lines is None else expanded(lines)
    return texts


def _free_names(parser: pytest.Parser, arguments: Sequence[str]) -> set[str]:
    """Return the bare names among the arguments that no plugin or conftest.py has defined so far."""
    if not BARE.keys() & _names(arguments):
        return set()
    _, unknown = parser.parse_known_and_unknown_args(list(arguments))
    return BARE.keys() & set(map(name_of, unknown))


def _gates(arguments: Sequence[str], free: Collection[str]) -> bool:
    """Tell whether these arguments ask for the gate."""
    names = _names(arguments)
    return bool(names & GATING) or "--images" in names & set(free)


def _renamed(arguments: Sequence[str], free: Collection[str]) -> list[str]:
    """Replace the free bare names by the gate's own names."""
    options = options_of(arguments)
    return [*(_spelt(text, free) for text in options), *arguments[len(options) :]]


def joined(arguments: Sequence[str], names: Collection[str]) -> list[str]:
    """Join each of ``names`` with its value: ``--lora X`` becomes ``--lora=X``."""
    merged: list[str] = []
    values = {i + 1 for i, _ in values_of(arguments, names)}
    for i, argument in enumerate(arguments):
        if i in values:
            merged[-1] += f"={argument}"
        else:
            merged.append(argument)
    return merged


def values_of(arguments: Sequence[str], names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield the index and the value of each of the names that is followed by a value."""
    options = options_of(arguments)
    for i, (name, value) in enumerate(pairwise(options)):
        if name in names and name not in SWITCHES and not value.startswith("-"):
            yield i, value


def options_of(arguments: Sequence[str]) -> list[str]:
    """Return the arguments before ``--``; pytest treats everything after it as paths."""
    return list(arguments[: arguments.index("--")] if "--" in arguments else arguments)


def name_of(argument: str) -> str:
    """Return the name in "--lora=x" or "--lora"."""
    return argument.partition("=")[0]


def _names(arguments: Sequence[str]) -> set[str]:
    return set(map(name_of, options_of(arguments)))


def _spelt(argument: str, free: Collection[str]) -> str:
    name = name_of(argument)
    return BARE[name] + argument[len(name) :] if name in free else argument
