"""Read the prompts of pictures made elsewhere from a dictionary: JSON ``{id: text}``, or CSV ``id,text``.

JSON may also hold ``trigger``, ``class_words`` and ``seeds``, beside the prompts or beside a table
``prompts``. Texts are taken literally, since they describe what another program was given. Without ``seeds``,
the pictures themselves tell them (`lora_checks.images.provided.seeds`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, ReleaseError
from lora_checks.core.records import Prompt, PromptSet
from lora_checks.core.records.policies import NO_BASE, UNKNOWN
from lora_checks.core.strict_json import strict_json
from lora_checks.policy.rows import check_name
from lora_checks.policy.strict_yaml import Value

OPTION = "--lora-prompts"
ENDINGS = (".json", ".csv")
_ABOUT = ("trigger", "class_words", "seeds")


def read(path: Path) -> PromptSet:
    """Read a dictionary of prompts; base and sampler are unknown. Raises `ConfigError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{OPTION}: {path} cannot be read: {error.strerror or error}") from error
    texts, about = _json(content, path) if path.suffix.lower() == ".json" else (_csv(content, path), {})
    trigger, class_words = (_words(about, key) for key in ("trigger", "class_words"))
    if bool(trigger) != bool(class_words):
        raise ConfigError(f"{path}: trigger and class_words belong together; name both or neither")
    return PromptSet(
        base=NO_BASE,
        sampler=UNKNOWN,
        prompts=_prompts(texts, path),
        seeds=_seeds(about.get("seeds"), path),
        trigger=trigger,
        class_words=class_words,
        source=str(path),
    )


def _json(content: bytes, path: Path) -> tuple[list[Value], Mapping[str, Value]]:
    try:
        table = strict_json(content, str(path))
    except ReleaseError as error:
        raise ConfigError(f'{OPTION}: {error}; write {{"id": "text"}}') from error
    about = {key: _value(table.pop(key), path, key) for key in _ABOUT if key in table}
    nested = table.get("prompts")
    if isinstance(nested, dict):
        if others := [key for key in table if key != "prompts"]:
            raise ConfigError(f"{path}: {others[0]}: unknown key beside 'prompts'")
        table = nested
    return [_value(text, path, name) for name, text in table.items()], about


def _value(data: Any, path: Path, key: str) -> Value:
    if data is None or isinstance(data, dict):
        raise ConfigError(f"{path}: {key}: must be a text")
    if isinstance(data, list):
        return Value(tuple(_value(item, path, key) for item in data), str(path), key)
    return Value(data, str(path), key)


def _csv(content: bytes, path: Path) -> list[Value]:
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
        reader = csv.DictReader(lines, strict=True)
        heads = list(reader.fieldnames or ())
        if sorted(heads) != ["id", "text"]:
            raise ConfigError(f"{path}:1: the first line must be id,text, but is {','.join(heads)!r}")
        return list(_lines(reader, path))
    except (UnicodeError, csv.Error) as error:
        raise ConfigError(f"{OPTION}: {path} cannot be read: {error}") from error


def _lines(reader: csv.DictReader[str], path: Path) -> Iterator[Value]:
    for row in reader:
        if None in row or None in row.values():
            raise ConfigError(
                f'{path}:{reader.line_num}: must be an id and a text; put "..." around a text with commas'
            )
        yield Value(row["text"], f"{path}:{reader.line_num}", row["id"].strip())


def _prompts(texts: list[Value], path: Path) -> tuple[Prompt, ...]:
    if not texts:
        raise ConfigError(f"{path}: holds no prompt")
    ids: set[str] = set()
    known: dict[str, str] = {}
    for value in texts:
        check_name(value, value.key)
        text = " ".join(value.text().split())
        if value.key in ids:
            raise value.error("this id is there twice")
        if text in known:
            raise value.error(f"the same text as '{known[text]}'; pictures of one text need one id")
        ids.add(value.key)
        known[text] = value.key
    return tuple(Prompt(name, text, source=str(path)) for text, name in known.items())


def _words(about: Mapping[str, Value], key: str) -> str:
    return " ".join(about[key].text().split()) if key in about else ""


def _seeds(value: Value | None, path: Path) -> tuple[int, ...]:
    seeds = tuple(entry.integer(0) for entry in value.items()) if value else ()
    if value and (not seeds or len(set(seeds)) < len(seeds)):
        raise ConfigError(f"{path}: seeds: must list different whole numbers, or be left out")
    return seeds
