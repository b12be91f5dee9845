"""TensorBoard. Event files through tensorboard's own writer and messages; neither torch nor TensorFlow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import clean, number
from lora_checks.images.gallery import folder_name, shown
from lora_checks.judge.verdict import limits
from lora_checks.publish.trackers import tensorboard_messages as messages
from lora_checks.publish.trackers.contents import COLUMNS, config, files, flat, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document
from lora_checks.report.markdown import escape
from lora_checks.report.pictures import pictures

OURS = ".lora_checks"  # how the events of an earlier log of the same report are recognised


def log(document: Document, directory: Path, where: str = "") -> str:
    """A folder of events for each LoRA, or for the checkpoints of a training run, in the folder ``where``.

    What an earlier log of the same LoRA wrote there is replaced; TensorBoard would show both.
    """
    root = Path(where) if where else directory / "tensorboard"
    for one in series(document):
        folder = root / folder_name(one.name, str(one.loras[0]["sha256"]))
        for old in folder.glob(f"events.out.tfevents.*{OURS}"):
            old.unlink()
        _write(folder, _summaries(one, document, directory))
        for file in files(directory):
            shutil.copyfile(file, folder / file.name)
    return f"tensorboard --logdir {shown(root)}"


def _write(folder: Path, summaries: Iterator[tuple[Any, int]]) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=OURS)
    try:
        for summary, step in summaries:
            writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
    finally:
        writer.close()


def _summaries(one: Series, document: Document, directory: Path) -> Iterator[tuple[Any, int]]:
    """Each message and its step: the LoRA's training step, so that the pictures have a slider."""
    facts = list(flat(config(document, one.loras)))
    yield messages.text("lora_checks/outcome", escape(headlines(one.loras))), 0
    yield messages.text("lora_checks/policy", _table(("what", "value"), facts)), 0
    yield messages.text("lora_checks/values", _table(COLUMNS, values(one.loras))), 0
    report = directory / "report.md"
    if report.is_file():
        yield messages.text("lora_checks/report", report.read_text(encoding="utf-8")), 0
    yield messages.hparams(_hparams(one, document["run"])), 0
    about, captions = _about(one), _captions(one, document["run"])
    for lora in one.loras:
        for tag, value in scalars(lora).items():
            yield messages.scalar(tag, value, about.get(tag, "")), one.step(lora)
        for picture in pictures(lora, document["run"]):
            tag = clean(f"pictures/{picture.name}")
            yield messages.image(tag, picture.file, captions[picture.name]), one.step(lora)


def _about(one: Series) -> dict[str, str]:
    """Tag of a row's value -> its limits and why it is asked for."""
    return {
        clean(f"{row['check']}/value"): escape(
            f"{row['measurement']['metric']}, {limits(row['threshold']['min'], row['threshold']['max'])}: "
            f"{row['threshold']['why']}"
        )
        for lora in one.loras
        for row in lora["rows"]
        if row["measurement"] and row["threshold"]
    }


def _captions(one: Series, run: Mapping[str, Any]) -> dict[str, str]:
    """Of each picture at all its steps: TensorBoard keeps one description for all of a tag."""
    found: dict[str, list[str]] = {}
    for lora in one.loras:
        for picture in pictures(lora, run):
            caption = f"step {one.step(lora)}: {picture.caption}" if one.stepped else picture.caption
            found.setdefault(picture.name, []).append(f"- {escape(caption)}")
    return {name: "\n".join(lines) for name, lines in found.items()}


def _hparams(one: Series, run: Mapping[str, Any]) -> dict[str, str | float]:
    """What differs between runs that people compare; a series differs in its steps, which are the axis."""
    lora = one.loras[-1]
    facts = {
        "outcome": one.outcome,
        "lora": one.name,
        "scale": lora.get("scale"),
        "rank": max(lora.get("ranks") or [0]) or None,
        "base": (run.get("base") or {}).get("label"),
        "policy": str((run.get("policy") or {}).get("digest", ""))[:6],
        "hardware": run.get("hardware") or run.get("device"),
        "dtype": run.get("dtype"),
    }
    return {name: clean(value) for name, value in facts.items() if value is not None}


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else "" if value is None else escape(str(value))
