"""MLflow on a local database: what its own client reads back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_world import HOSTILE
from tracker_world import log, pictured, same_bytes, written

pytest.importorskip("mlflow", reason="mlflow is not installed: pip install 'lora-checks[mlflow]'")

STEPS = ("person-step00000200", "person-step00000100")
pytestmark = pytest.mark.gate  # each in a process of its own


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of one training run, and a LoRA with a hostile name; where MLflow puts it by itself."""
    folder = tmp_path_factory.mktemp("report")
    written(pictured(tmp_path_factory.mktemp("mlflow"), (*STEPS, HOSTILE)), folder)
    done = log(folder, "mlflow:portraits", MLFLOW_TRACKING_URI=f"sqlite:///{folder}/tracking.db")
    assert done.code == 0, done.err
    assert done.contacts == []
    assert done.out.startswith("mlflow: person, ")
    assert done.out.endswith(f" at sqlite:///{folder}/tracking.db\n")
    return folder


@pytest.fixture(scope="module")
def client(logged: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{logged}/tracking.db")


@pytest.fixture(scope="module")
def run(client: Any) -> Any:
    return next(run for run in runs(client) if run.info.run_name == "person")


def runs(client: Any) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name("portraits").experiment_id]))


def artifact(client: Any, run: Any, path: str, folder: Path) -> Path:
    return Path(client.download_artifacts(run.info.run_id, path, str(folder)))


def test_each_row_has_value_interval_and_limits_over_the_steps(client: Any, run: Any) -> None:
    found = client.get_metric_history(run.info.run_id, "identity/value")
    assert sorted((metric.step, metric.value) for metric in found) == [(100, 0.831), (200, 0.831)]
    metrics = run.data.metrics
    names = ("low", "high", "min", "margin")
    assert [metrics[f"identity/{name}"] for name in names] == pytest.approx([0.797, 0.865, 0.5, 0.331])
    assert metrics["drift/max"] == 0.25
    assert "drift/min" not in metrics
    assert metrics["lora_checks/passed"] == 0


def test_the_outcome_is_a_tag_and_the_parameters_say_what_was_compared(run: Any) -> None:
    assert run.data.tags["lora_checks.outcome"] == "FAIL"
    assert run.data.tags["lora_checks.outcome.person-step00000100"] == "FAIL"
    assert run.info.status == "FINISHED"
    params = run.data.params
    assert params["policy.digest"] == "abcdef99" * 8
    assert params["base.digest"] == "3f2a91bb"
    assert params["versions.0"] == "torch 2.14.1"
    assert params["hardware"] == "cpu"
    assert (params["loras.0.step"], params["loras.1.step"]) == ("100", "200")


def test_the_table_has_each_value_of_each_picture(client: Any, run: Any, tmp_path: Path) -> None:
    table = json.loads(artifact(client, run, "values.json", tmp_path).read_text())
    lines = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    assert len(lines) == 2 * 3 * 2
    asked = [line for line in lines if (line["step"], line["check"]) == (100, "identity")]
    assert [(line["prompt"], line["seed"], line["metric"], line["value"]) for line in asked] == [
        ("green-shirt", 0, "arcface", 0.831),
        ("green-shirt", 1, "arcface", None),
    ]


def test_the_pictures_are_there_with_captions(client: Any, run: Any, tmp_path: Path) -> None:
    files = [one.path for one in client.list_artifacts(run.info.run_id, "images")]
    first = [path for path in files if "green-shirt_0+step+100" in path and path.endswith(".png")]
    assert len(files) == 2 * 2 * 3  # MLflow keeps a compressed copy of each
    with Image.open(artifact(client, run, first[0], tmp_path)) as image:
        assert image.getpixel((0, 0)) == (2, 0, 50)
    table = json.loads(artifact(client, run, "captions.json", tmp_path).read_text())
    captions = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    assert captions[0]["picture"] == "green-shirt_0"
    assert captions[0]["caption"].endswith("prompt adherence 0.214, drift 0.181, identity 0.831")


def test_the_report_is_an_artifact(client: Any, run: Any, tmp_path: Path, logged: Path) -> None:
    paths = [one.path for one in client.list_artifacts(run.info.run_id, "report")]
    assert paths == ["report/report.json", "report/report.md"]
    assert same_bytes(artifact(client, run, "report/report.json", tmp_path), logged)


def test_another_lora_is_another_run_and_a_hostile_name_stays_text(client: Any) -> None:
    names = [run.info.run_name for run in runs(client)]
    assert len(names) == 2
    assert all(name.isprintable() for name in names)


def test_a_server_that_is_not_there_is_said_with_no_password(tmp_path: Path) -> None:
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    where = {"MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = log(folder, "mlflow", **where)
    assert done.code == 1
    assert done.out.startswith("mlflow: not logged: ")
    assert f"later: lora-checks log {folder} --to mlflow" in done.out
    assert "secret" not in done.out


def test_a_run_that_is_named_by_its_id_goes_on(logged: Path, client: Any, tmp_path: Path) -> None:
    training = client.create_run("0")
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    uri = f"sqlite:///{logged}/tracking.db"
    done = log(folder, "mlflow", MLFLOW_TRACKING_URI=uri, MLFLOW_RUN_ID=training.info.run_id)
    assert done.code == 0, done.err
    found = client.get_run(training.info.run_id)
    assert found.data.metrics["identity/value"] == 0.831
    assert found.info.status == "RUNNING"
