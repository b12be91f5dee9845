"""Read ``labels:`` of thresholds.yaml: for a folder of real pictures, what each shows and of whom it is."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from lora_checks.core.errors import ConfigError
from lora_checks.core.records.labels import Labelled
from lora_checks.policy.sampling import path_of
from lora_checks.policy.strict_yaml import Value, suggestion

COLUMNS = ("file", "label", "group")


def labels_of(value: Value, parent: Path, folders: Mapping[str, object]) -> dict[str, tuple[Labelled, ...]]:
    """Return the labels of each folder's pictures.

    Args:
        value: Of the key: folder -> CSV file with the columns file, label and perhaps group.
        parent: The folder of the policy.
        folders: The policy's folders by name.

    Raises:
        ConfigError: A folder, file or line is wrong.
    """
    labels = {}
    for name, entry in value.mapping().items():
        if name not in folders:
            raise entry.error(f"no folder '{name}' under 'folders:'; {suggestion(name, list(folders))}")
        path = path_of(entry.text(), parent, f"{entry.where}: {entry.key}")
        labels[name] = read(path)
    return labels


def read(path: Path) -> tuple[Labelled, ...]:
    """Return the lines of a list of labels; without a column group each picture is a group of its own."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            heads = list(reader.fieldnames or ())
            if sorted(heads) not in (sorted(COLUMNS), sorted(COLUMNS[:2])):
                raise ConfigError(
                    f"{path}:1: the first line must be file,label,group or file,label, "
                    f"but is {','.join(heads)!r}"
                )
            lines = tuple(_lines(reader, path, grouped="group" in heads))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', '') or error}") from error
    if len({line.label for line in lines}) < 2:
        raise ConfigError(
            f"{path}: holds {'one label only' if lines else 'no picture'}; it needs two or more"
        )
    return lines


def _lines(reader: csv.DictReader[str], path: Path, grouped: bool) -> Iterator[Labelled]:
    seen: dict[str, str] = {}
    for row in reader:
        where = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            raise ConfigError(f'{where}: has another number of cells than line 1; put "..." around a comma')
        file, label = row["file"].strip(), row["label"].strip()
        group = row["group"].strip() if grouped else file
        for key, text in (("file", file), ("label", label), ("group", group)):
            if not text:
                raise ConfigError(f"{where}: has no {key}")
        if file in seen:
            raise ConfigError(f"{where}: {file} is already at {seen[file]}")
        seen[file] = where
        yield Labelled(file, label, group, where)
