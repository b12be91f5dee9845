"""Pytest's command line, read before pytest's own: which of its names are the gate's.

The options had bare names once, such as ``--device``. Registered, each would be taken from every other plugin
and conftest.py, and pytest would end in an error; so they are replaced here, where nobody else has them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from lora_checks.gate.options import BARE

GATING = {"--lora", "--lora-images"}


def read(parser: pytest.Parser, arguments: Sequence[str], asked: Sequence[str] = ()) -> tuple[list[str], str]:
    """The arguments with the gate's own names in place of bare ones, as far as the parser knows by now.

    The text is the first bare name in ``asked`` that went to somebody else while the gate has no value of its
    own: it may have been meant for the gate, which would go on by another policy or base than was asked for.
    """
    given = expanded(arguments)
    bare, names = bare_names(parser, given), _names(given)
    if not _gates(given, bare):
        return list(arguments), ""
    others = (name for name in map(name_of, options_of(asked)) if name in BARE.keys() - bare)
    return _renamed(given, bare), next((name for name in others if BARE[name] not in names), "")


def bare_names(parser: pytest.Parser, arguments: Sequence[str]) -> set[str]:
    """The bare names among these arguments that are the gate's: in a gating run those that are free."""
    given = expanded(arguments)
    free = _free_names(parser, given)
    return free if _gates(given, free) else set()


def expanded(arguments: Sequence[object]) -> list[str]:
    """As texts, and each @file as the arguments in it, one a line, as argparse reads them."""
    found: list[str] = []
    for argument in map(str, arguments):
        try:
            lines = Path(argument[1:]).read_text().splitlines() if argument.startswith("@") else None
        except (OSError, ValueError):  # pytest says what is wrong with it
            lines = None
        found += [argument] if lines is None else expanded(lines)
    return found


def _free_names(parser: pytest.Parser, arguments: Sequence[str]) -> set[str]:
    """The bare names among the arguments that no plugin and no conftest.py has defined so far."""
    if not BARE.keys() & _names(arguments):
        return set()
    _, unknown = parser.parse_known_and_unknown_args(list(arguments))
    return BARE.keys() & set(map(name_of, unknown))


def _gates(arguments: Sequence[str], free: Collection[str]) -> bool:
    """Whether these arguments ask for the gate."""
    names = _names(arguments)
    return bool(names & GATING) or "--images" in names & set(free)


def _renamed(arguments: Sequence[str], free: Collection[str]) -> list[str]:
    """The arguments with the free bare names replaced by the gate's own."""
    options = options_of(arguments)
    return [*(_spelt(text, free) for text in options), *arguments[len(options) :]]


def joined(arguments: Sequence[str], names: Collection[str]) -> list[str]:
    """``--lora X`` -> ``--lora=X``, for each of ``names``."""
    found: list[str] = []
    values = {i + 1 for i, _ in values_of(arguments, names)}
    for i, argument in enumerate(arguments):
        if i in values:
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def values_of(arguments: Sequence[str], names: Collection[str]) -> Iterator[tuple[int, str]]:
    """Where one of the names stands, and the value that follows it."""
    options = options_of(arguments)
    for i, (name, value) in enumerate(pairwise(options)):
        if name in names and not value.startswith("-"):
            yield i, value


def options_of(arguments: Sequence[str]) -> list[str]:
    """The arguments up to ``--``, after which pytest reads paths alone."""
    return list(arguments[: arguments.index("--")] if "--" in arguments else arguments)


def name_of(argument: str) -> str:
    """ "--lora=x" and "--lora" -> "--lora"."""
    return argument.partition("=")[0]


def _names(arguments: Sequence[str]) -> set[str]:
    return set(map(name_of, options_of(arguments)))


def _spelt(argument: str, free: Collection[str]) -> str:
    name = name_of(argument)
    return BARE[name] + argument[len(name) :] if name in free else argument
