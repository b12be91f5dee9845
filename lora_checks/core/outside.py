"""Make untrusted text (file names, prompts, output of other programs) safe to print, log and export."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TextIO

# Commands to a CI runner in a job's output: "::error::" at the start of a line, "##[error]" anywhere in it.
_LINE, _ANYWHERE = re.compile(r"(^|[\r\n])([^\S\r\n]*):(?=:)"), re.compile(r"##(?=\w*\[)")
# The start of a cell that a spreadsheet reads as a formula; many locales separate cells by semicolons.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")


def printable(text: str) -> str:
    """Return the text as one line without control characters, direction marks or lone surrogates.

    Prompts and file names are untrusted: an escape sequence must not colour a terminal, and a
    control character must not break an XML file.
    """
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def without_commands(text: str) -> str:
    """Return the text, of any number of lines, with every CI runner command defused."""
    return _ANYWHERE.sub("# #", _LINE.sub(r"\1\2: ", text))


def harmless(text: str) -> str:
    """Return lines that are safe for a terminal or a CI log: printable, and none of them a command."""
    return without_commands("\n".join(printable(line) for line in text.split("\n")))


def cell(text: str) -> str:
    """Return text for a CSV cell that no spreadsheet runs as a formula or shows in another direction.

    The apostrophe is how spreadsheets themselves mark such a text as not a formula.
    """
    return _FORMULA.sub(r"\1'", printable(text))


class _Guarded(io.TextIOBase):
    """A text stream that defuses CI runner commands."""

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
    """Under GitHub Actions, defuse runner commands in everything that is printed inside the block."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    with redirect_stdout(_Guarded(sys.stdout)), redirect_stderr(_Guarded(sys.stderr)):
        yield
