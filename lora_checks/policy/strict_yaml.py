"""Read YAML strictly: every value knows its file, line and key, and ambiguous values are errors.

``yaml.safe_load`` keeps the last of two equal keys, reads ``1e-3`` as text, ``012`` as ten, ``no`` as
False, takes ``.nan``, and lets 341 bytes of aliases grow without end. A release must not depend on any of
these, so each is an error that names the place and what to write instead.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import yaml

from lora_checks.core.errors import ConfigError
from lora_checks.policy.keys import Keys

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

_T = TypeVar("_T", bound=str)
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,19})")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_EXPONENT = re.compile(r"([-+]?)([0-9]*)\.?([0-9]*)[eE]([-+]?)([0-9]+)")  # text in YAML 1.1, a number in 1.2
_OCTAL = re.compile(r"0o[0-7]+")  # likewise


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar, list or mapping with its place; each method returns one type or raises `ConfigError`."""

    data: str | bool | int | float | tuple[Value, ...] | dict[str, Value]
    where: str  # "thresholds.yaml:14"
    key: str  # "checks.identity.min"; "" for the whole file

    def error(self, text: str) -> ConfigError:
        """Return an error about this value; its message starts with file, line and key."""
        return ConfigError(": ".join(part for part in (self.where, self.key, text) if part))

    def table(self, keys: Keys) -> Mapping[str, Value]:
        """Return a mapping with these keys; an unknown or a missing required key is an error."""
        entries = self.mapping()
        known = [*keys.required, *keys.optional]
        for name, value in entries.items():
            if name not in known:
                raise value.error(f"unknown key{foreign_letters(name)}; {suggestion(name, known)}")
        for name in keys.required:
            if name not in entries:
                raise self.error(f"'{name}' is missing")
        return entries

    def mapping(self) -> Mapping[str, Value]:
        """Return a mapping with any keys."""
        if not isinstance(self.data, dict):
            raise self.error(f"must be a mapping of keys to values, not {self._seen()}")
        return self.data

    def items(self) -> tuple[Value, ...]:
        if not isinstance(self.data, tuple):
            raise self.error(f"must be a list, not {self._seen()}")
        return self.data

    def text(self, *, empty: bool = False) -> str:
        if not isinstance(self.data, str):
            raise self.error(f"must be text, not {self._seen()}; put it in quotes if it is meant as text")
        if not empty and not self.data.strip():
            raise self.error("must not be empty")
        return self.data

    def choice(self, options: Sequence[_T]) -> _T:
        text = self.text()
        for option in options:
            if text == option:
                return option
        raise self.error(f"must be one of {', '.join(options)}, not '{text}'")

    def flag(self) -> bool:
        if not isinstance(self.data, bool):
            raise self.error(f"must be true or false, not {self._seen()}")
        return self.data

    def number(self, low: float = -math.inf, high: float = math.inf) -> float:
        if isinstance(self.data, bool) or not isinstance(self.data, int | float):
            raise self.error(f"must be a number, not {self._seen()}")
        if not low <= self.data <= high:
            raise self.error(f"must be {_span(low, high)}, not {self.data}")
        return float(self.data)

    def integer(self, low: int, high: float = math.inf) -> int:
        if isinstance(self.data, bool) or not isinstance(self.data, int):
            raise self.error(f"must be a whole number, not {self._seen()}")
        if not low <= self.data <= high:
            raise self.error(f"must be {_span(low, high)}, not {self.data}")
        return self.data

    def plain(self) -> Any:
        """Return the value as plain Python objects."""
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        if isinstance(self.data, tuple):
            return [value.plain() for value in self.data]
        return self.data

    def _seen(self) -> str:
        if isinstance(self.data, bool):
            return str(self.data).lower()
        if isinstance(self.data, str):
            return f"the text '{self.data[:40]}'"
        if isinstance(self.data, dict):
            return "a mapping"
        return "a list" if isinstance(self.data, tuple) else str(self.data)


def _span(low: float, high: float) -> str:
    if math.isinf(high):
        return f"at least {low}"
    return f"from {low} to {high}"


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return "did you mean 'max'?", or the list of known names."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known) or 'none'}"


def foreign_letters(name: str) -> str:
    """Return a note about the first non-ASCII letter, such as a Cyrillic a in "mаx"; "" without one."""
    for letter in name:
        if not letter.isascii():
            return f" (it contains {unicodedata.name(letter, repr(letter))})"
    return ""


def load(path: Path) -> Value:
    """Read a file with one mapping. Raises `ConfigError` for anything ambiguous."""
    text = _read(path)
    try:
        node = _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        raise ConfigError(f"{place}: {_explained(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{path}:{line}: the character U+{ord(text[error.position]):04X}"
                          " is not allowed in YAML") from None  # fmt: skip
    if node is None:
        raise ConfigError(f"{path}: the file is empty")
    whole = _Tree(path).value(node, key="", line=node.start_mark.line)
    whole.mapping()
    return whole


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes; this cannot be a policy file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x}); "
                          "save the file as UTF-8") from None  # fmt: skip
    for number, content in enumerate(text.splitlines(), start=1):
        if "\t" in content[: len(content) - len(content.lstrip())]:
            raise ConfigError(f"{path}:{number}: tab in the indentation; YAML indents with spaces")
    return text


def _explained(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if "'\\t'" in problem:
        return "tab between values; write a space"
    if problem == "mapping values are not allowed here":
        return "not YAML: a second ': ' in the line; put the text in quotes"
    if problem.endswith("but got '?'"):
        return "not YAML: a '?' between { } or [ ]; put the text in quotes"
    if error.context and error.context.startswith("expected a single document"):
        return "a second document starts here ('---'); a policy file is one document"
    return problem if isinstance(error, _Refused) else f"not YAML: {problem}"


class _Refused(yaml.MarkedYAMLError):
    """An error about valid YAML that a policy may not contain."""


class _Loader(yaml.SafeLoader):
    """A loader that only composes nodes, and refuses anchors, aliases and tags."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse("anchors (&) and aliases (*) are not allowed; write the value out", event)
        if event.tag is not None:
            self._refuse(f"the tag '{event.tag}' is not allowed; write a plain value", event)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._refuse(f"nested more than {MAX_DEPTH} deep", event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def _refuse(self, problem: str, event: yaml.Event) -> NoReturn:
        raise _Refused(problem=problem, problem_mark=event.start_mark)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Tree:
    """A file whose composed nodes are turned into values."""

    path: Path

    def value(self, node: yaml.Node, key: str, line: int) -> Value:
        where = f"{self.path}:{line + 1}"
        if isinstance(node, yaml.MappingNode):
            return Value(dict(self._entries(node, key)), where, key)
        if isinstance(node, yaml.SequenceNode):
            items = [self.value(item, f"{key}[{index}]", item.start_mark.line)
                     for index, item in enumerate(node.value)]  # fmt: skip
            return Value(tuple(items), where, key)
        try:
            return Value(_scalar(node), where, key)
        except ValueError as error:
            raise Value("", where, key).error(str(error)) from None

    def _entries(self, node: yaml.MappingNode, key: str) -> Iterator[tuple[str, Value]]:
        lines: dict[str, int] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line
            name = self._name(name_node, key)
            path = f"{key}.{name}" if key else name
            if name in lines:
                raise Value("", f"{self.path}:{line + 1}", path).error(
                    f"the key is already in line {lines[name] + 1}; keep one of them"
                )
            lines[name] = line
            yield name, self.value(value_node, path, line)

    def _name(self, node: yaml.Node, key: str) -> str:
        name = self.value(node, key, node.start_mark.line)
        if not isinstance(name.data, str):
            raise name.error(f"a key must be text, not {name._seen()}; put it in quotes")
        return name.data


def _scalar(node: yaml.Node) -> str | bool | int | float:
    """Return the value of an unambiguous scalar. Raises `ValueError` with what is wrong otherwise."""
    text = str(node.value)
    if node.style is not None:  # type: ignore[attr-defined]  # quoted or block: text, whatever it looks like
        return _printable(text)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return _finite(text)
    problem = _ambiguity(text, node.tag.rpartition(":")[2])
    if problem:
        raise ValueError(problem)
    return _printable(text)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _ambiguity(text: str, kind: str) -> str:
    """Return why a plain scalar could be read in two ways; "" if it can only be text."""
    if kind == "null":
        return "has no value; give it one or remove the key" if not text else f"'{text}' is not a value"
    if kind == "bool":
        return f"'{text}' is a truth value to some YAML readers; write true or false, or quote it as text"
    if kind == "float" and text.lower().lstrip("+-") in (".nan", ".inf"):
        return f"must be a finite number, not {text}"
    if match := _EXPONENT.fullmatch(text):
        sign, whole, part, direction, power = match.groups()
        wanted = f"{sign}{whole or 0}.{part or 0}e{direction or '+'}{power}"
        return f"'{text}' is text to some YAML readers; write {wanted} for the number, or quote it as text"
    if kind in ("int", "float") or _OCTAL.fullmatch(text):
        return f"'{text}' is another number to some YAML readers; write plain decimals, or quote it as text"
    return f"'{text}' is special in YAML ({kind}); quote it as text" if kind != "str" else ""


def _printable(text: str) -> str:
    for letter in text:
        if letter not in "\n\t" and unicodedata.category(letter) in ("Cc", "Cs"):
            raise ValueError(f"contains the control character U+{ord(letter):04X}")
    return text
