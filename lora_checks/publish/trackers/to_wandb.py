"""Log to Weights & Biases, as configured by WANDB_MODE, WANDB_PROJECT, ..."""

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
    """Log a wandb run for each LoRA or series of checkpoints; ``where`` is [entity/]project."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # offline means offline
    groups = series(document)
    if len(groups) > 1 and os.environ.get("WANDB_RUN_ID"):
        raise TrackerError(
            f"WANDB_RUN_ID names one run, but the report has LoRAs of {len(groups)}; "
            "unset it, or gate the checkpoints of one training run at a time"
        )
    return ", ".join(_log(group, document, directory, where) for group in groups)


def _log(group: Series, document: Document, directory: Path, where: str) -> str:
    import wandb

    entity, _, project = where.rpartition("/")
    run = wandb.init(
        entity=entity or None,
        project=project or os.environ.get("WANDB_PROJECT") or "lora-checks",
        name=os.environ.get("WANDB_NAME") or group.name,
        job_type="lora-checks",
        tags=[group.outcome],
        notes=headlines(group.loras),
        config=config(document, group.loras),
        # Neither this machine nor this code made the images.
        settings=wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True),
    )
    with run:
        _fill(run, group, document, directory)
    if getattr(run, "disabled", False):
        return "nothing logged, because WANDB_MODE is disabled"
    folder = Path(run.dir).parent
    return str(run.url) if run.url and not run.offline else f"{folder} (wandb sync {folder})"


def _fill(run: Any, group: Series, document: Document, directory: Path) -> None:
    import wandb

    if group.stepped:  # a separate axis: wandb's step must not decrease, and training may be past ours
        run.define_metric(STEP)
        for section in {name.partition("/")[0] for lora in group.loras for name in scalars(lora)}:
            run.define_metric(f"{section}/*", step_metric=STEP)
    for lora in group.loras:
        row: dict[str, Any] = dict(scalars(lora))
        if group.stepped:
            row[STEP] = group.step(lora)
        shown = pictures(lora, document["run"])
        if shown:
            row["lora_checks/pictures"] = [
                wandb.Image(str(picture.file), caption=picture.caption) for picture in shown
            ]
        run.log(row)
    table = wandb.Table(columns=list(COLUMNS), data=values(group.loras))
    run.log({"lora_checks/values": table})
    run.summary["lora_checks/outcome"] = group.outcome
    run.summary["lora_checks/outcomes"] = {printable(lora["name"]): lora["outcome"] for lora in group.loras}
    artifact = wandb.Artifact(f"lora-checks-{run.id}", type="lora-checks-report")
    for file in files(directory):
        artifact.add_file(str(file), name=file.name)
    run.log_artifact(artifact)
