"""--lora-log: trackers get the report after it was written, and decide nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import Gate

HIDES = "import sys\nsys.modules['trackio'] = None\n"


def test_a_run_is_logged_after_its_report_and_says_where_to_look(gate: Gate) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'lora-checks[tensorboard]'")
    run = gate("--lora", gate.world.good, "--lora-log", "tensorboard:runs")
    assert run.code == 0, run.out
    assert run.out.splitlines()[-1] == "tensorboard: tensorboard --logdir runs"
    (folder,) = (gate.folder / "runs").iterdir()
    assert (folder / "report.json").read_bytes() == (run.report_folder / "report.json").read_bytes()
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1


def test_a_tracker_that_fails_changes_neither_verdict_nor_report(gate: Gate) -> None:
    pytest.importorskip("mlflow", reason="pip install 'lora-checks[mlflow]'")
    gone = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    good = gate("--lora", gate.world.good, "--lora-log", "mlflow", "--no-summary", **gone)
    assert good.code == 0, good.out
    assert "mlflow: not logged: " in good.out
    assert f"later: lora-checks log {good.report_folder} --to mlflow" in good.out
    assert good.report["outcome"] == "PASS"


def test_a_lora_that_fails_is_logged_and_fails(gate: Gate) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'lora-checks[tensorboard]'")
    run = gate("--lora", gate.world.bad, "--lora-log", "tensorboard", "-n", "2")
    assert run.code == 1, run.out
    assert run.out.count("tensorboard: tensorboard --logdir") == 1  # by the controller, not by each worker
    assert run.report["outcome"] == "FAIL"


def test_a_missing_package_ends_the_run_before_anything_is_made(gate: Gate) -> None:
    (gate.folder / "hides.py").write_text(HIDES)
    store = gate.folder / "store"
    where = ("--lora", gate.world.good, "--lora-store", store, "--lora-log", "trackio")
    run = gate("-p", "hides", *where, PYTHONPATH=str(gate.folder))
    assert run.code == 4
    assert "--lora-log trackio needs the package 'trackio'" in run.err
    assert "pip install 'lora-checks[trackio]'" in run.err
    assert not (store / "images").exists()


def test_an_unknown_tracker_ends_the_run(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-log", "neptune")
    assert run.code == 4
    assert "--lora-log: 'neptune' is not a tracker; use wandb, mlflow, tensorboard, trackio" in run.err


def test_it_is_for_the_gate_only(gate: Gate) -> None:
    run = gate.pytest("--lora-log", "wandb")
    assert run.code == 4
    assert "--lora-log is for the LoRA gate" in run.err


def test_nothing_is_logged_where_nothing_is_run(gate: Gate) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'lora-checks[tensorboard]'")
    run = gate("--lora", gate.world.good, "--lora-log", "tensorboard:runs", "--collect-only")
    assert run.code == 1
    assert "logging" not in run.out
    assert not (gate.folder / "runs").exists()


def test_a_run_that_is_interrupted_says_how_to_log_it(gate: Gate) -> None:
    pytest.importorskip("tensorboard", reason="pip install 'lora-checks[tensorboard]'")
    mine = gate.folder / "test_mine.py"
    mine.write_text("def test_mine():\n    raise KeyboardInterrupt\n")
    run = gate("--lora", gate.world.good, "--lora-log", "tensorboard:runs", mine)
    assert run.code == 2
    assert "tensorboard: not logged: the run was interrupted; later: lora-checks log" in run.out
    assert not Path(gate.folder / "runs").exists()
