"""Parse the JSON of a safetensors header member by member, without building all of its objects.

A header is flat: one object whose values are small objects. With `json.loads`, a malicious header of a few MB
can create a million objects and take a second and hundreds of MB. This parser holds only the bytes.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator, Mapping
from json import JSONDecoder
from typing import Any

from lora_checks.core.errors import LoraFileError

_SPACE = rb"[ \t\n\r]*+"
# RFC 8259. A surrogate must be one half of a pair: a lone one is not a character, and Rust parsers refuse it.
_TEXT = (
    rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    rb'|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+"'
)
TEXT = re.compile(_TEXT)
FLAT = re.compile(rb'\{(?:[^"{}]++|' + _TEXT + rb")*+\}")  # an object that holds no object
_OPEN = re.compile(rb"\{" + _SPACE + rb"(\}?)")
_NAME = re.compile(b"(" + _TEXT + b")" + _SPACE + b":" + _SPACE)
_NEXT = re.compile(_SPACE + rb"(\}|," + _SPACE + b")")
_END = re.compile(_SPACE + rb"\Z")
MAX_NAME = 1_000  # bytes
STEP = 1 << 20  # bytes


class Members:
    """A cursor over one header. Every error is a `LoraFileError` with the byte position."""

    def __init__(self, data: bytes) -> None:
        _check_utf8(data)
        self.data = data
        self.place = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the names of one object; read the value of each before asking for the next."""
        closed = self._take(_OPEN, "{").group(1)
        while not closed:
            match = self._take(_NAME, f"a name of at most {MAX_NAME:,} bytes", MAX_NAME)
            name: str = decoded(self.data, slice(*match.span(1)))
            yield name
            closed = self._take(_NEXT, "a comma or }").group(1) == b"}"

    def value(self, pattern: re.Pattern[bytes], longest: int) -> slice | None:
        """Return the span of the next value; None if it does not match or exceeds ``longest`` bytes."""
        match = pattern.match(self.data, self.place, self.place + longest)
        if match is None:
            return None
        self.place = match.end()
        return slice(*match.span())

    def end(self) -> None:
        """Check that nothing but white space follows."""
        self._take(_END, "the end")

    def _take(self, pattern: re.Pattern[bytes], what: str, longest: int = sys.maxsize) -> re.Match[bytes]:
        match = pattern.match(self.data, self.place, min(self.place + longest, sys.maxsize))
        if match is None:
            there = self.data[self.place : self.place + 20].decode(errors="replace")
            found = ascii(there) if there else "it ends"
            raise LoraFileError(
                f"has a damaged header (not JSON: {found} at byte {8 + self.place:,}, where {what} belongs); "
                "export it again"
            )
        self.place = match.end()
        return match


class Texts(Mapping[str, str]):
    """Texts by name, decoded on access: the tags of a large training set take many MB."""

    def __init__(self, data: bytes, places: Mapping[str, slice]) -> None:
        self._data, self._places = data, places

    def __getitem__(self, name: str) -> str:
        text: str = decoded(self._data, self._places[name])
        return text

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def decoded(data: bytes, place: slice) -> Any:
    """Decode one value. An object becomes a tuple of pairs, which keeps repeated keys. Raises ValueError."""
    text = str(memoryview(data)[place], "utf-8")
    return text[1:-1] if text[0] == '"' and "\\" not in text else _DECODER.decode(text)


def _whole(text: str) -> int:
    return -1 if text == "-0" else int(text)  # -0 is a float elsewhere


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=tuple, parse_int=_whole, parse_constant=_no_constant)


def _check_utf8(data: bytes) -> None:
    """Check the encoding in chunks: decoded at once, a single emoji makes every character take four bytes."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(data), STEP):
            decoder.decode(data[begin : begin + STEP], final=begin + STEP >= len(data))
    except UnicodeDecodeError as error:
        raise LoraFileError(f"has a damaged header (not JSON: {error.reason}); export it again") from None
