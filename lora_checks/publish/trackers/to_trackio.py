"""Log to Trackio: to TRACKIO_DIR on this machine, TRACKIO_SPACE_ID or TRACKIO_SERVER_URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lora_checks.core.words import clean
from lora_checks.publish.trackers.contents import COLUMNS, config, files, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document, Lora, Run
from lora_checks.report.pictures import pictures


def log(document: Document, directory: Path, where: str = "") -> str:
    """Log a Trackio run for each LoRA or series of checkpoints to the project ``where``."""
    project = where or "lora-checks"
    for group in series(document):
        _log(group, document, directory, project)
    return f"trackio show --project {project}"


def _log(group: Series, document: Document, directory: Path, project: str) -> None:
    import trackio

    finish: Any = trackio.finish  # untyped
    facts = config(document, group.loras) | {"outcome": group.outcome}
    # Log no hardware metrics: this machine is idle and may not be the one that made the images.
    trackio.init(
        project=project, name=group.name, config=facts, embed=False, auto_log_gpu=False, auto_log_cpu=False
    )
    try:
        for lora in group.loras:
            _fill(lora, group.step(lora), document["run"])
        table = trackio.Table(columns=list(COLUMNS), data=values(group.loras))
        trackio.log({"lora_checks/values": table}, step=group.step(group.loras[-1]))
        artifact = trackio.Artifact(f"lora-checks-{_plain(group.name)}", type="lora-checks-report")
        for file in files(directory):
            artifact.add_file(str(file), name=file.name)
        trackio.log_artifact(artifact)
        if group.outcome != "PASS":
            trackio.alert(
                f"{group.name}: {group.outcome}", headlines(group.loras), level=trackio.AlertLevel.ERROR
            )
    finally:
        finish()


def _fill(lora: Lora, step: int, run: Run) -> None:
    import trackio

    shown = {
        clean(f"pictures/{picture.name}"): trackio.Image(str(picture.file), caption=picture.caption)
        for picture in pictures(lora, run)
    }
    trackio.log({**scalars(lora), "lora_checks/outcome": lora["outcome"], **shown}, step=step)


def _plain(name: str) -> str:
    """Return a valid artifact name: Trackio allows only letters, digits and _ - ."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-.") else "-" for c in name)
