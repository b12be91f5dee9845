"""MLflow. Where to is MLflow's own affair: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, MLFLOW_RUN_ID."""

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

LONGEST_VALUE = 5000  # of a parameter or tag, in characters: what every backend of MLflow 2 and 3 takes
LONGEST_NAME = 250
BATCH = 100  # parameters MLflow takes at a time; it takes 1,000 metrics


def log(document: Document, directory: Path, where: str = "") -> str:
    """An MLflow run for each LoRA, or for the checkpoints of a training run; ``where`` is the experiment."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nobody asked to tell MLflow's makers
    from mlflow import MlflowClient, get_tracking_uri

    client, found, given = MlflowClient(), series(document), os.environ.get("MLFLOW_RUN_ID")
    if len(found) > 1 and given:
        raise TrackerError(
            f"MLFLOW_RUN_ID names one run, but the report has LoRAs of {len(found)}; "
            "unset it, or gate the checkpoints of one training run at a time"
        )
    experiment = "" if given else _experiment(client, where)
    for one in found:
        run = given or client.create_run(experiment, run_name=one.name).info.run_id
        try:
            _fill(client, run, one, document, directory)
        except BaseException:
            if not given:
                client.set_terminated(run, "FAILED")
            raise
        if not given:  # a training run that goes on is ended by whoever began it
            client.set_terminated(run)
    runs = ", ".join(one.name for one in found)
    return f"{runs} at {without_password(get_tracking_uri())}"


def _fill(client: Any, run: str, one: Series, document: Document, directory: Path) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    metrics = [
        Metric(_key(name), value, now, one.step(lora))
        for lora in one.loras
        for name, value in scalars(lora).items()
    ]
    tags = {"lora_checks.outcome": one.outcome, "mlflow.note.content": headlines(one.loras)}
    tags |= {f"lora_checks.outcome.{_key(str(lora['name']))}": lora["outcome"] for lora in one.loras}
    client.log_batch(run, tags=[RunTag(name, value[:LONGEST_VALUE]) for name, value in tags.items()])
    params = [
        Param(_key(name), value[:LONGEST_VALUE]) for name, value in flat(config(document, one.loras)) if value
    ]
    for start in range(0, len(params), BATCH):
        client.log_batch(run, params=params[start : start + BATCH])
    for start in range(0, len(metrics), 10 * BATCH):
        client.log_batch(run, metrics=metrics[start : start + 10 * BATCH])
    table = values(one.loras)
    if table:
        columns = {name: list(cells) for name, cells in zip(COLUMNS, zip(*table, strict=True), strict=True)}
        client.log_table(run, columns, "values.json")
    _pictures(client, run, [(lora, p) for lora in one.loras for p in pictures(lora, document["run"])], one)
    for file in files(directory):
        client.log_artifact(run, str(file), "report")


def _pictures(client: Any, run: str, shown: list[tuple[Lora, Picture]], one: Series) -> None:
    """Each picture under a key of its own, so that the page can step through the checkpoints; MLflow keeps no
    captions, which therefore are a table."""
    from PIL import Image

    rows = []
    for lora, picture in shown:
        key = _key(f"{picture.prompt}_{picture.seed}")
        with Image.open(picture.file) as image:
            client.log_image(run, image.convert("RGB"), key=key, step=one.step(lora))
        rows.append((printable(lora["name"]), one.step(lora), key, picture.caption))
    if rows:
        columns = zip(("lora", "step", "picture", "caption"), zip(*rows, strict=True), strict=True)
        client.log_table(run, {name: list(cells) for name, cells in columns}, "captions.json")


def _experiment(client: Any, where: str) -> str:
    """Its id; by `MLFLOW_EXPERIMENT_ID` or a name, made where there is none of that name."""
    if not where and os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return os.environ["MLFLOW_EXPERIMENT_ID"]
    name = where or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "lora-checks"
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found is not None else client.create_experiment(name))


def _key(name: str) -> str:
    """MLflow's names have letters, digits and _ - . / space; a path in them must not leave its folder."""
    plain = re.sub(r"[^A-Za-z0-9_\-./ ]", "_", name)
    return re.sub(r"\.\.+|//+|^/|/$", "_", plain)[:LONGEST_NAME]
