"""Text from outside, written where it could do something: file names, prompts, what other programs say."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

# What a runner looks for in a job's output: "::error::" where a line begins, "##[error]" anywhere in it.
_LINE, _ANYWHERE = re.compile(r"(^|[\r\n])([^\S\r\n]*):(?=:)"), re.compile(r"##(?=\w*\[)")
# What a spreadsheet takes for a formula where a cell begins; semicolons part cells in half of the world.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def printable(text: str) -> str:
    """One line without control characters, direction marks or lone surrogates.

    Prompts and file names come from outside: an escape sequence must not colour a terminal, and a
    control character must not break an XML file.
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def without_commands(text: str) -> str:
    """Text, of any number of lines, in which no CI runner finds a command."""
    return _ANYWHERE.sub("# #", _LINE.sub(r"\1\2: ", text))


def harmless(text: str) -> str:
    """Lines for a terminal or a job's log: each printable, and none a command."""
    return without_commands("\n".join(printable(line) for line in text.split("\n")))


def cell(text: str) -> str:
    """Text for a cell of a CSV file: no spreadsheet runs it, none shows it in another direction.

    The apostrophe is what spreadsheets themselves put before text that would be a formula.
    """
    return _FORMULA.sub(r"\1'", printable(text))


class _Guarded(io.TextIOBase):
    """A stream of a job's log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(without_commands(text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextmanager
def job_log() -> Iterator[None]:
    """Under GitHub Actions, nothing that is written inside is a command to the runner."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    with redirect_stdout(_Guarded(sys.stdout)), redirect_stderr(_Guarded(sys.stderr)):
        yield
