"""Trackio. A local database in TRACKIO_DIR, or wherever TRACKIO_SPACE_ID or TRACKIO_SERVER_URL says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.words import clean
from lora_checks.publish.trackers.contents import COLUMNS, config, files, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document
from lora_checks.report.pictures import pictures


def log(document: Document, directory: Path, where: str = "") -> str:
    """A trackio run for each LoRA, or for the checkpoints of a training run; ``where`` is the project."""
    project = where or "lora-checks"
    for one in series(document):
        _log(one, document, directory, project)
    return f"trackio show --project {project}"


def _log(one: Series, document: Document, directory: Path, project: str) -> None:
    import trackio

    finish: Any = trackio.finish  # untyped
    facts = config(document, one.loras) | {"outcome": one.outcome}
    # No measurements of this machine: it is idle, and need not be the one that made the images.
    trackio.init(
        project=project, name=one.name, config=facts, embed=False, auto_log_gpu=False, auto_log_cpu=False
    )
    try:
        for lora in one.loras:
            _fill(lora, one.step(lora), document["run"])
        table = trackio.Table(columns=list(COLUMNS), data=values(one.loras))
        trackio.log({"lora_checks/values": table}, step=one.step(one.loras[-1]))
        artifact = trackio.Artifact(f"lora-checks-{_plain(one.name)}", type="lora-checks-report")
        for file in files(directory):
            artifact.add_file(str(file), name=file.name)
        trackio.log_artifact(artifact)
        if one.outcome != "PASS":
            trackio.alert(f"{one.name}: {one.outcome}", headlines(one.loras), level=trackio.AlertLevel.ERROR)
    finally:
        finish()


def _fill(lora: Mapping[str, Any], step: int, run: Mapping[str, Any]) -> None:
    import trackio

    shown = {
        clean(f"pictures/{picture.name}"): trackio.Image(str(picture.file), caption=picture.caption)
        for picture in pictures(lora, run)
    }
    trackio.log({**scalars(lora), "lora_checks/outcome": lora["outcome"], **shown}, step=step)


def _plain(name: str) -> str:
    """Trackio's names of artifacts have letters, digits and _ - . only."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "-" for c in name)
