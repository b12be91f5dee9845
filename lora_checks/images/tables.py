"""Read pictures from a column of a table: a ``datasets`` dataset saved on disk, or Parquet files.

The column holds each picture's file as bytes (``datasets.Image``: a struct of ``bytes`` and ``path``). Tables
are read part by part (a record batch or a row group), so memory does not grow with their size.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.core.records import Member

STATE, SPLITS = "state.json", "dataset_dict.json"  # of Dataset.save_to_disk and DatasetDict.save_to_disk
HELD = 4  # parts in memory, which threads that work on neighbouring pictures share
_LOCK = threading.Lock()


def is_saved(folder: Path) -> bool:
    """Return whether ``datasets`` saved this folder."""
    return (folder / STATE).is_file() or (folder / SPLITS).is_file()


def files_of(folder: Path) -> tuple[Path, ...]:
    """Return the files of a dataset that ``save_to_disk`` wrote, in its order.

    Raises:
        ConfigError: The folder holds several splits, or its list of files cannot be read.
    """
    if (folder / SPLITS).is_file() and not (folder / STATE).is_file():
        splits = sorted(path.name for path in folder.iterdir() if (path / STATE).is_file())
        raise ConfigError(f"{folder}: holds the splits {', '.join(splits)}; name one, as {folder / 'train'}")
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        files = tuple(folder / entry["filename"] for entry in state["_data_files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder / STATE}: is not the state of a saved dataset; save it again") from error
    if not files:
        raise ConfigError(f"{folder}: holds no rows")
    return files


def members(path: Path) -> Iterator[tuple[Member, str]]:
    """Yield each picture of a table and the SHA-256 of its bytes, in the table's order.

    Raises:
        ConfigError: The file is damaged, has no or several columns of pictures, or a row holds no picture.
        PrerequisiteError: pyarrow is not installed.
    """
    file = _opened(path)
    column = _column(path, file.schema)
    row = 0
    for part in range(file.parts):
        for i, content in enumerate(_contents(path, part, column)):
            if content is None:
                raise ConfigError(
                    f"{path}: row {row}: '{column}' holds no bytes; save the pictures themselves in the table"
                )
            yield Member(f"row {row}", (part, i), column), hashlib.sha256(content).hexdigest()
            row += 1


def content(path: Path, member: Member) -> bytes:
    """Return the bytes of a picture. Raises `MeasureError` if they are no longer there."""
    part, row = member.at
    try:
        with _LOCK:
            found = _contents(path, part, member.column)[row]
    except (ConfigError, IndexError) as error:
        raise MeasureError(f"{path}: {member.name}: cannot be read any more: {error}") from error
    if found is None:
        raise MeasureError(f"{path}: {member.name}: holds no bytes any more")
    return found


@lru_cache(maxsize=HELD)
def _contents(path: Path, part: int, column: str) -> list[bytes | None]:
    """Return the bytes in each row of a part of the table."""
    values = _opened(path).read(part, column).column(column)
    pictures: list[bytes | None] = (
        [value and value["bytes"] for value in values.to_pylist()]
        if _is_struct(values.type)
        else values.to_pylist()
    )
    return pictures


def _column(path: Path, schema: Any) -> str:
    columns = [field.name for field in schema if _is_struct(field.type) or _is_binary(field.type)]
    if len(columns) != 1:
        there = f"several columns of pictures ({', '.join(columns)})" if columns else "no column of pictures"
        raise ConfigError(
            f"{path}: has {there}; keep one, whose rows hold the bytes of a picture's file (datasets.Image)"
        )
    return str(columns[0])


def _is_struct(kind: Any) -> bool:
    import pyarrow

    if not pyarrow.types.is_struct(kind):
        return False
    return any(field.name == "bytes" and _is_binary(field.type) for field in kind)


def _is_binary(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


class _Arrow:
    """An Arrow file of record batches, as a stream (``datasets``) or with an index at its end."""

    def __init__(self, path: Path) -> None:
        import pyarrow

        self._batches: list[Any] = []
        source = pyarrow.memory_map(str(path))  # a batch takes memory only while it is looked at
        try:
            reader = pyarrow.ipc.open_stream(source)
            self._batches = list(reader)
        except pyarrow.ArrowInvalid:
            reader = pyarrow.ipc.open_file(source)
            self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        self.schema, self.parts = reader.schema, len(self._batches)

    def read(self, part: int, column: str) -> Any:
        return self._batches[part].select([column])


class _Parquet:
    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._file = parquet.ParquetFile(path)
        self.schema, self.parts = self._file.schema_arrow, self._file.num_row_groups

    def read(self, part: int, column: str) -> Any:
        return self._file.read_row_group(part, columns=[column])


@lru_cache(maxsize=HELD)
def _opened(path: Path) -> _Arrow | _Parquet:
    try:
        import pyarrow
    except ImportError as error:
        raise PrerequisiteError(
            f"{path}: tables are read with pyarrow; pip install 'lora-checks[sets]'"
        ) from error
    try:
        return _Parquet(path) if path.suffix == ".parquet" else _Arrow(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigError(f"{path}: cannot be read as a table: {error}") from error
