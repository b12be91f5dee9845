"""Weights & Biases. Online, offline or disabled by wandb's own rules: WANDB_MODE, WANDB_PROJECT, ..."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from lora_checks.core.errors import TrackerError
from lora_checks.core.words import printable
from lora_checks.publish.trackers.contents import COLUMNS, config, files, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document
from lora_checks.report.pictures import pictures

STEP = "lora_checks/step"


def log(document: Document, directory: Path, where: str = "") -> str:
    """A wandb run for each LoRA, or for the checkpoints of a training run; ``where`` is [entity/]project."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # offline means offline
    found = series(document)
    if len(found) > 1 and os.environ.get("WANDB_RUN_ID"):
        raise TrackerError(
            f"WANDB_RUN_ID names one run, but the report has LoRAs of {len(found)}; "
            "unset it, or gate the checkpoints of one training run at a time"
        )
    return ", ".join(_log(one, document, directory, where) for one in found)


def _log(one: Series, document: Document, directory: Path, where: str) -> str:
    import wandb

    entity, _, project = where.rpartition("/")
    run = wandb.init(
        entity=entity or None,
        project=project or os.environ.get("WANDB_PROJECT") or "lora-checks",
        name=os.environ.get("WANDB_NAME") or one.name,
        job_type="lora-checks",
        tags=[one.outcome],
        notes=headlines(one.loras),
        config=config(document, one.loras),
        # The machine at this moment is not the one, nor the code, that made the images.
        settings=wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True),
    )
    with run:
        _fill(run, one, document, directory)
    if getattr(run, "disabled", False):
        return "nothing, as WANDB_MODE is disabled"
    place = Path(run.dir).parent
    return str(run.url) if run.url and not run.offline else f"{place} (wandb sync {place})"


def _fill(run: Any, one: Series, document: Document, directory: Path) -> None:
    import wandb

    if one.stepped:  # an axis of its own: wandb's own step must never go back, training's may be past it
        run.define_metric(STEP)
        for section in {name.partition("/")[0] for lora in one.loras for name in scalars(lora)}:
            run.define_metric(f"{section}/*", step_metric=STEP)
    for lora in one.loras:
        row: dict[str, Any] = dict(scalars(lora))
        if one.stepped:
            row[STEP] = one.step(lora)
        shown = pictures(lora, document["run"])
        if shown:
            row["lora_checks/pictures"] = [
                wandb.Image(str(picture.file), caption=picture.caption) for picture in shown
            ]
        run.log(row)
    table = wandb.Table(columns=list(COLUMNS), data=values(one.loras))
    run.log({"lora_checks/values": table})
    run.summary["lora_checks/outcome"] = one.outcome
    run.summary["lora_checks/outcomes"] = {printable(lora["name"]): lora["outcome"] for lora in one.loras}
    artifact = wandb.Artifact(f"lora-checks-{run.id}", type="lora-checks-report")
    for file in files(directory):
        artifact.add_file(str(file), name=file.name)
    run.log_artifact(artifact)
