"""Log to MLflow, as configured by MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME and MLFLOW_RUN_ID."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

from lora_checks.core.errors import TrackerError
from lora_checks.core.words import printable
from lora_checks.publish.trackers import without_password
from lora_checks.publish.trackers.contents import COLUMNS, config, files, flat, headlines, scalars, values
from lora_checks.publish.trackers.series import Series, series
from lora_checks.record.shapes import Document, Lora
from lora_checks.report.pictures import Picture, pictures

LONGEST_VALUE = 5000  # characters of a parameter or tag; every backend of MLflow 2 and 3 accepts it
LONGEST_NAME = 250
BATCH = 100  # parameters per request; MLflow accepts ten times as many metrics


def log(document: Document, directory: Path, where: str = "") -> str:
    """Log an MLflow run for each LoRA or series of checkpoints to the experiment ``where``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # the user did not ask for it
    from mlflow import MlflowClient, get_tracking_uri

    client, groups, existing = MlflowClient(), series(document), os.environ.get("MLFLOW_RUN_ID")
    if len(groups) > 1 and existing:
        raise TrackerError(
            f"MLFLOW_RUN_ID names one run, but the report has LoRAs of {len(groups)}; "
            "unset it, or gate the checkpoints of one training run at a time"
        )
    experiment = "" if existing else _experiment(client, where)
    for group in groups:
        run = existing or client.create_run(experiment, run_name=group.name).info.run_id
        try:
            _fill(client, run, group, document, directory)
        except BaseException:
            if not existing:
                client.set_terminated(run, "FAILED")
            raise
        if not existing:  # an existing run is ended by whoever started it
            client.set_terminated(run)
    runs = ", ".join(group.name for group in groups)
    return f"{runs} at {without_password(get_tracking_uri())}"


def _fill(client: Any, run: str, group: Series, document: Document, directory: Path) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [
        Metric(_key(name), value, now, group.step(lora))
        for lora in group.loras
        for name, value in scalars(lora).items()
    ]
    tags = {"lora_checks.outcome": group.outcome, "mlflow.note.content": headlines(group.loras)}
    tags |= {f"lora_checks.outcome.{_key(str(lora['name']))}": lora["outcome"] for lora in group.loras}
    client.log_batch(run, tags=[RunTag(name, value[:LONGEST_VALUE]) for name, value in tags.items()])
    params = [
        Param(_key(name), value[:LONGEST_VALUE])
        for name, value in flat(config(document, group.loras))
        if value
    ]
    for start in range(0, len(params), BATCH):
        client.log_batch(run, params=params[start : start + BATCH])
    for start in range(0, len(metrics), 10 * BATCH):
        client.log_batch(run, metrics=metrics[start : start + 10 * BATCH])
    table = values(group.loras)
    if table:
        columns = {name: list(cells) for name, cells in zip(COLUMNS, zip(*table, strict=True), strict=True)}
        client.log_table(run, columns, "values.json")
    _pictures(
        client, run, [(lora, p) for lora in group.loras for p in pictures(lora, document["run"])], group
    )
    for file in files(directory):
        client.log_artifact(run, str(file), "report")


def _pictures(client: Any, run: str, shown: list[tuple[Lora, Picture]], group: Series) -> None:
    """Log each picture under its own key, so that the page can step through the checkpoints.

    MLflow stores no captions, so these are logged as a table.
    """
    from PIL import Image

    rows = []
    for lora, picture in shown:
        key = _key(f"{picture.prompt}_{picture.seed}")
        with Image.open(picture.file) as image:
            client.log_image(run, image.convert("RGB"), key=key, step=group.step(lora))
        rows.append((printable(lora["name"]), group.step(lora), key, picture.caption))
    if rows:
        columns = zip(("lora", "step", "picture", "caption"), zip(*rows, strict=True), strict=True)
        client.log_table(run, {name: list(cells) for name, cells in columns}, "captions.json")


def _experiment(client: Any, where: str) -> str:
    """Return the id of the experiment, creating it if it does not exist."""
    if not where and os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return os.environ["MLFLOW_EXPERIMENT_ID"]
    name = where or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "lora-checks"
    experiment = client.get_experiment_by_name(name)
    return str(experiment.experiment_id if experiment is not None else client.create_experiment(name))


def _key(name: str) -> str:
    """Return a valid MLflow name: letters, digits and _ - . / space, and no path out of its folder."""
    plain = re.sub(r"[^A-Za-z0-9_\-./ ]", "_", name)
    return re.sub(r"\.\.+|//+|^/|/$", "_", plain)[:LONGEST_NAME]
