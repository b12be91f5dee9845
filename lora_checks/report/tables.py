"""Write all values of all images as one tidy table: ``values.csv``, and ``values.parquet`` with pyarrow.

``images.csv`` has the same values with a line for each image and a column for each row of the policy.
"""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path, PurePath
from typing import Any

from lora_checks.core.outside import cell, printable
from lora_checks.record.files import write_bytes, write_text
from lora_checks.record.ranking.axes import shown_keys
from lora_checks.record.ranking.entry import entry
from lora_checks.record.shapes import Document, Lora

COLUMNS = (
    *("lora", "step", "scale", "prompt", "seed", "metric", "check", "value", "nearest", "image"),
    *("run", "epoch", "text", "file"),
)
OF_IMAGE = ("lora", "run", "step", "epoch", "scale", "prompt", "text", "seed", "file", "image")
CSV, PARQUET, WIDE = "values.csv", "values.parquet", "images.csv"
Line = dict[str, Any]


def keys_of(document: Document) -> tuple[str, ...]:
    """Return the columns of what the LoRAs differ in beyond step, epoch and strength; see `ranking.axes`."""
    entries = [entry(lora) for lora in document["loras"]]
    ranking = document.get("ranking")
    ranks = {place.rank for place in entries}
    keys = shown_keys(entries, ranking["axis"] if ranking else None)
    return (*(("rank",) if len(ranks) > 1 else ()), *(key for key in keys if key not in COLUMNS))


def about(lora: Lora, keys: Sequence[str] = ()) -> Line:
    """Return what a table says about a LoRA: its name, its place in the training run, and these keys."""
    place = entry(lora)
    more = {key: place.rank if key == "rank" else place.text(key) for key in keys}
    return {
        "lora": lora["name"],
        "run": PurePath(place.run).name,
        "step": place.step,
        "epoch": place.epoch,
        "scale": lora.get("scale"),
        **more,
    }


def lines(
    loras: Iterable[Lora], texts: Mapping[str, str] | None = None, keys: Sequence[str] = ()
) -> Iterator[Line]:
    """Yield a line for each LoRA, row of the policy and image.

    ``value`` is None if the image has none, such as without a face; ``image`` is its SHA-256 or "".

    Args:
        loras: of the document.
        texts: of the prompts, by id.
        keys: further columns about the LoRA, from `keys_of`.
    """
    for lora in loras:
        pictures = {picture["name"]: picture for picture in lora.get("pictures", ())}
        of_lora = about(lora, keys)
        for row in lora["rows"]:
            measured = row["measurement"]
            if measured is None:
                continue
            matches = dict(measured["matches"])
            for name, value in measured["per_image"]:
                prompt, _, seed = name.rpartition("/")
                picture = pictures.get(name)
                prompt = picture["prompt"] if picture else prompt
                yield of_lora | {
                    "prompt": prompt,
                    "text": (texts or {}).get(prompt, ""),
                    "file": PurePath(picture["file"]).name if picture else "",
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
    written = [write_text(path, text), write_text(directory / WIDE, _wide(document))]
    if importlib.util.find_spec("pyarrow") is not None:
        parquet = directory / PARQUET
        written.append(parquet if same and parquet.is_file() else _write_parquet(document, parquet))
    return written


def _csv(document: Document) -> str:
    keys = keys_of(document)
    return as_csv((*COLUMNS, *keys), lines(document["loras"], _texts(document), keys))


def _texts(document: Document) -> dict[str, str]:
    return {prompt["id"]: prompt["text"] for prompt in document["run"].get("prompts") or ()}


def _wide(document: Document) -> str:
    """Render a line for each LoRA and image, with a column for each row of the policy."""
    checks: dict[str, None] = {}
    keys = keys_of(document)
    of_image_alone = (*OF_IMAGE, *keys)
    images: dict[tuple[str, str, int | None], Line] = {}
    for line in lines(document["loras"], _texts(document), keys):
        checks[line["check"]] = None
        key = line["lora"], line["prompt"], line["seed"]
        of_image = images.setdefault(key, {name: line[name] for name in of_image_alone})
        of_image[f"{line['check']}"] = line["value"]
    own = [check for check in checks if check not in of_image_alone]
    return as_csv((*of_image_alone, *own), images.values())


def as_csv(columns: Sequence[str], table: Iterable[Line]) -> str:
    """Render lines as CSV; cells that a spreadsheet would take for a formula are made text."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: cell(name) for name in columns})
    writer.writerows(_of_text(line, cell) for line in table)
    return text.getvalue()


def _write_parquet(document: Document, path: Path) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    text, number, whole = pa.string(), pa.float64(), pa.int64()
    kinds = (text, whole, number, text, whole, text, text, number, text, text, text, whole, text, text)
    keys = keys_of(document)
    more = [(key, whole if key == "rank" else text) for key in keys]
    schema = pa.schema([*zip(COLUMNS, kinds, strict=True), *more])
    rows = [_of_text(line, printable) for line in lines(document["loras"], _texts(document), keys)]
    columns = [_column([row[field.name] for row in rows], field.type) for field in schema]
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), sink, compression="zstd")
    return write_bytes(path, sink.getvalue().to_pybytes())


def _column(values: Sequence[Any], kind: Any) -> Any:
    """Return a pyarrow array of texts or numbers; None is null. `pyarrow.array` would import pandas."""
    import numpy as np
    import pyarrow as pa

    there = np.packbits(np.array([value is not None for value in values], bool), bitorder="little")
    parts: tuple[Any, ...]
    if kind == pa.string():
        texts = [(value or "").encode() for value in values]
        ends = np.array([0, *accumulate(map(len, texts))], np.int32)  # raises above 2 GB
        parts = (ends, b"".join(texts))
    else:
        numbers = [0 if value is None else value for value in values]
        parts = (np.array(numbers, np.int64 if kind == pa.int64() else np.float64),)
    return pa.Array.from_buffers(kind, len(values), [pa.py_buffer(part) for part in (there, *parts)])


def _of_text(line: Line, made: Callable[[str], str]) -> Line:
    """Apply ``made`` to text, which comes from outside; leave numbers unchanged."""
    return {name: made(value) if isinstance(value, str) else value for name, value in line.items()}
