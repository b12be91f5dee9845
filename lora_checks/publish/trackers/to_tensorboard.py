"""Log to TensorBoard with its own event writer and messages, without torch or TensorFlow."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import clean, number
from lora_checks.images.gallery import folder_name, shown
from lora_checks.judge.verdict import limits
from lora_checks.publish.trackers import tensorboard_messages as messages
from lora_checks.publish.trackers.contents import COLUMNS, config, files, flat, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document, Run
from lora_checks.report.markdown import escape
from lora_checks.report.pictures import pictures

OURS = ".lora_checks"  # suffix that marks event files of an earlier log


def log(document: Document, directory: Path, where: str = "") -> str:
    """Write a folder of events for each LoRA or series of checkpoints into the folder ``where``.

    Events of an earlier log of the same LoRA are replaced; TensorBoard would show both.
    """
    root = Path(where) if where else directory / "tensorboard"
    for group in series(document):
        folder = root / folder_name(group.name, str(group.loras[0]["sha256"]))
        for old in folder.glob(f"events.out.tfevents.*{OURS}"):
            old.unlink()
        _write(folder, _summaries(group, document, directory))
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


def _summaries(group: Series, document: Document, directory: Path) -> Iterator[tuple[Any, int]]:
    """Yield each message and its training step, which gives the pictures a slider."""
    facts = list(flat(config(document, group.loras)))
    yield messages.text("lora_checks/outcome", escape(headlines(group.loras))), 0
    yield messages.text("lora_checks/policy", _table(("what", "value"), facts)), 0
    yield messages.text("lora_checks/values", _table(COLUMNS, values(group.loras))), 0
    report = directory / "report.md"
    if report.is_file():
        yield messages.text("lora_checks/report", report.read_text(encoding="utf-8")), 0
    yield messages.hparams(_hparams(group, document["run"])), 0
    about, captions = _about(group), _captions(group, document["run"])
    for lora in group.loras:
        for tag, value in scalars(lora).items():
            yield messages.scalar(tag, value, about.get(tag, "")), group.step(lora)
        for picture in pictures(lora, document["run"]):
            tag = clean(f"pictures/{picture.name}")
            yield messages.image(tag, picture.file, captions[picture.name]), group.step(lora)


def _about(group: Series) -> dict[str, str]:
    """Map the tag of each row's value to its limits and their reason."""
    return {
        clean(f"{row['check']}/value"): escape(
            f"{row['measurement']['metric']}, {limits(row['threshold']['min'], row['threshold']['max'])}: "
            f"{row['threshold']['why']}"
        )
        for lora in group.loras
        for row in lora["rows"]
        if row["measurement"] and row["threshold"]
    }


def _captions(group: Series, run: Run) -> dict[str, str]:
    """Map each picture to its captions at all steps: TensorBoard stores one description per tag."""
    captions: dict[str, list[str]] = {}
    for lora in group.loras:
        for picture in pictures(lora, run):
            caption = f"step {group.step(lora)}: {picture.caption}" if group.stepped else picture.caption
            captions.setdefault(picture.name, []).append(f"- {escape(caption)}")
    return {name: "\n".join(lines) for name, lines in captions.items()}


def _hparams(group: Series, run: Run) -> dict[str, str | float]:
    """Return the facts to compare runs by; steps are left out, since they are the x axis."""
    lora, base = group.loras[-1], run.get("base")
    facts = {
        "outcome": group.outcome,
        "lora": group.name,
        "scale": lora.get("scale"),
        "rank": max(lora.get("ranks") or [0]) or None,
        "base": base["label"] if base else None,
        "policy": run["policy"]["digest"][:6],
        "hardware": run["hardware"] or run["device"],
        "dtype": run.get("dtype"),
    }
    return {name: clean(value) for name, value in facts.items() if value is not None}


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: Any) -> str:
    return number(value) if isinstance(value, float) else "" if value is None else escape(str(value))
