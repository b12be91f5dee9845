"""The JSON of a safetensors header, member by member, without building what it describes.

A header is flat: one object whose values are small objects. Read with `json.loads`, a header of a few MB
can describe a million objects and take a second and hundreds of MB; here nothing is held but the bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from json import JSONDecoder
from typing import Any

from lora_checks.errors import LoraFileError

_SPACE = re.compile(rb"[ \t\n\r]*+")
# RFC 8259. A surrogate must be one half of a pair: a lone one is no character, and Rust's readers refuse it.
_TEXT = (
    rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    rb'|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))*+"'
)
TEXT = re.compile(_TEXT)
FLAT = re.compile(rb'\{(?:[^"{}]|' + _TEXT + rb")*+\}")  # an object that holds no object
STEP = 1 << 20  # bytes
MAX_NAME = 1_000  # bytes


class Members:
    """Walks through one header. Every fault is a `LoraFileError` with its place."""

    def __init__(self, data: bytes) -> None:
        _check_utf8(data)
        self.data = data
        self.place = 0

    def __iter__(self) -> Iterator[str]:
        """The names of one object; take the value of each before asking for the next."""
        self._take(b"{")
        if self._found(b"}"):
            return
        while True:
            yield self._name()
            if self._found(b"}"):
                return
            self._take(b",")

    def value(self, pattern: re.Pattern[bytes]) -> slice | None:
        """Where the next value is, None where it is another."""
        match = pattern.match(self.data, self._start())
        if match is None:
            return None
        self.place = match.end()
        return slice(*match.span())

    def end(self) -> None:
        if self._start() != len(self.data):
            raise self._fault("the end")

    def _name(self) -> str:
        place = self.value(TEXT)
        if place is None:
            raise self._fault("a name")
        length = place.stop - place.start
        if length > MAX_NAME:
            raise LoraFileError(
                f"has a name of {length:,} bytes in its header; the file is damaged or malicious"
            )
        self._take(b":")
        name: str = decoded(self.data[place])
        return name

    def _start(self) -> int:
        """Behind the white space."""
        match = _SPACE.match(self.data, self.place)
        self.place = match.end() if match else self.place
        return self.place

    def _found(self, sign: bytes) -> bool:
        found = self.data.startswith(sign, self._start())
        self.place += found
        return found

    def _take(self, sign: bytes) -> None:
        if not self._found(sign):
            raise self._fault(sign.decode())

    def _fault(self, wanted: str) -> LoraFileError:
        there = self.data[self.place : self.place + 20].decode(errors="replace")
        found = ascii(there) if there else "it ends"
        return LoraFileError(
            f"has a damaged header (not JSON: {found} at byte {8 + self.place:,}, where {wanted} belongs); "
            "export it again"
        )


class Texts(Mapping[str, str]):
    """Texts by name, decoded when asked for: the tags of a large training set are many MB."""

    def __init__(self, data: bytes, places: Mapping[str, slice]) -> None:
        self._data, self._places = data, places

    def __getitem__(self, name: str) -> str:
        text: str = decoded(self._data[self._places[name]])
        return text

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def decoded(data: bytes) -> Any:
    """One value. Raises ValueError; an object becomes a tuple of its pairs, so that none is lost."""
    return _DECODER.decode(data.decode())


def _whole(text: str) -> int:
    return -1 if text == "-0" else int(text)  # -0 is a float elsewhere


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_DECODER = JSONDecoder(object_pairs_hook=tuple, parse_int=_whole, parse_constant=_no_constant)


def _check_utf8(data: bytes) -> None:
    """In steps: decoded at once, one emoji makes four bytes of every letter."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for begin in range(0, len(data), STEP):
            decoder.decode(data[begin : begin + STEP], final=begin + STEP >= len(data))
    except UnicodeDecodeError as error:
        raise LoraFileError(f"has a damaged header (not JSON: {error.reason}); export it again") from None
