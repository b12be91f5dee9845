"""Write all values of all images as one tidy table: ``values.csv``, and ``values.parquet`` with pyarrow."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from lora_checks.core.outside import cell, printable
from lora_checks.record.files import write_bytes, write_text
from lora_checks.record.shapes import Document, Lora

COLUMNS = ("lora", "step", "scale", "prompt", "seed", "metric", "check", "value", "nearest", "image")
CSV, PARQUET = "values.csv", "values.parquet"
Line = dict[str, Any]


def lines(loras: Iterable[Lora]) -> Iterator[Line]:
    """Yield a line for each LoRA, row of the policy and image.

    ``value`` is None if the image has none, such as without a face; ``image`` is its SHA-256 or "".
    """
    for lora in loras:
        pictures = {picture["name"]: picture for picture in lora.get("pictures", ())}
        about = {"lora": lora["name"], "step": lora["step"], "scale": lora.get("scale")}
        for row in lora["rows"]:
            measured = row["measurement"]
            if measured is None:
                continue
            matches = dict(measured["matches"])
            for name, value in measured["per_image"]:
                prompt, _, seed = name.rpartition("/")
                picture = pictures.get(name)
                yield about | {
                    "prompt": picture["prompt"] if picture else prompt,
                    "seed": picture["seed"] if picture else int(seed) if seed.isdecimal() else None,
                    "metric": measured["metric"],
                    "check": row["check"],
                    "value": value,
                    "nearest": matches.get(name, ""),
                    "image": picture["sha256"] if picture else "",
                }


def write(document: Document, directory: Path) -> list[Path]:
    """Write the CSV, and the Parquet file if values changed: pyarrow takes a second to load."""
    text, path = _csv(document), directory / CSV
    same = path.is_file() and path.read_bytes() == text.encode()
    written = [write_text(path, text)]
    if importlib.util.find_spec("pyarrow") is not None:
        parquet = directory / PARQUET
        written.append(parquet if same and parquet.is_file() else _write_parquet(document, parquet))
    return written


def _csv(document: Document) -> str:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(_of_text(line, cell) for line in lines(document["loras"]))
    return text.getvalue()


def _write_parquet(document: Document, path: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    kinds = (text, whole, number, text, whole, text, text, number, text, text)
    schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
    values = pa.Table.from_pylist(
        [_of_text(line, printable) for line in lines(document["loras"])], schema=schema
    )
    sink = pa.BufferOutputStream()
    parquet.write_table(values, sink, compression="zstd")
    return write_bytes(path, sink.getvalue().to_pybytes())


def _of_text(line: Line, made: Callable[[str], str]) -> Line:
    """Apply ``made`` to text, which comes from outside; leave numbers unchanged."""
    return {name: made(value) if isinstance(value, str) else value for name, value in line.items()}
