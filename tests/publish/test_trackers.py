"""What trackers are told, and how a run tells them without depending on them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
from report_world import HOSTILE, document, refused, verdicts
from tracker_world import pictured, written

from lora_checks.core.errors import ConfigError, TrackerError
from lora_checks.publish import trackers
from lora_checks.publish.trackers import TRACKERS, Target, chosen, without_password
from lora_checks.publish.trackers.after_run import log_apart
from lora_checks.publish.trackers.contents import COLUMNS, config, flat, scalars, values
from lora_checks.publish.trackers.series import series
from lora_checks.report.pictures import pictures


def names(found: dict[str, object]) -> list[tuple[str, list[str]]]:
    return [(one.name, [str(lora["name"]) for lora in one.loras]) for one in series(found)]


def test_trackers_are_chosen_by_name_and_each_may_be_told_where_to() -> None:
    assert chosen("wandb, tensorboard:runs/gate ,wandb") == (
        Target("wandb"),
        Target("tensorboard", "runs/gate"),
    )
    assert [str(target) for target in chosen("mlflow:portraits,trackio")] == ["mlflow:portraits", "trackio"]
    assert chosen(None) == ()


@pytest.mark.parametrize("text", ["neptune", "wandb,neptune", "Wandb"])
def test_an_unknown_tracker_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--lora-log: .* is not a tracker; use wandb, mlflow, tensorboard"):
        chosen(text)


@pytest.mark.parametrize("text", ["", " , "])
def test_no_tracker_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--to names no tracker"):
        chosen(text, "--to")


@pytest.mark.parametrize("name", TRACKERS)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, TRACKERS[name][0], None)
    with pytest.raises(ConfigError, match=rf"pip install 'lora-checks\[{name}\]'"):
        chosen(name)


def test_a_folder_of_the_package_s_name_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ghosttracker").mkdir()  # as wandb leaves a folder wandb where it ran
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TRACKERS, "ghost", ("ghosttracker", "lora_checks.publish.trackers.to_wandb:log"))
    with pytest.raises(ConfigError, match="which is not installed"):
        chosen("ghost")


def test_whatever_a_client_raises_is_one_sentence_without_passwords(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rude.py").write_text(
        "def log(*_):\n    raise RuntimeError('no route to https://me:secret@host/x\\nline 2')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(TRACKERS, "rude", ("rude", "rude:log"))
    with pytest.raises(TrackerError, match=r"^RuntimeError: no route to https://host/x$"):
        trackers.log(Target("rude"), document(verdicts()), tmp_path)
    assert without_password("a sqlite:///x.db and mail@host") == "a sqlite:///x.db and mail@host"


def test_checkpoints_of_one_run_are_one_series_in_the_order_of_their_steps(tmp_path: Path) -> None:
    loras = ("a-step00000200", "a-step00000100", "b-step00000100", "a")
    found = pictured(tmp_path, loras)
    assert names(found) == [
        ("a", ["a-step00000100", "a-step00000200"]),
        ("a", ["a"]),
        ("b-step00000100", ["b-step00000100"]),
    ]
    assert [one.stepped for one in series(found)] == [True, False, False]


def test_each_strength_is_a_series_of_its_own(tmp_path: Path) -> None:
    found = pictured(tmp_path, ("a-step00000200", "a-step00000100"))
    for lora in found["loras"]:
        lora["scale"] = 0.6
    assert names(found)[0][0] == "a:0.6"
    found["loras"][0]["scale"] = 0.8
    assert [len(loras) for _, loras in names(found)] == [1, 1]


def test_two_files_that_claim_one_step_are_not_one_axis(tmp_path: Path) -> None:
    found = pictured(tmp_path, ("a-step00000200", "a-step00000100"))
    for lora in found["loras"]:
        lora["step"] = 100
    assert [len(loras) for _, loras in names(found)] == [1, 1]


def test_what_was_not_measured_has_no_number() -> None:
    found = document(refused("broken", "damaged"))["loras"][0]
    assert scalars(found) == {
        "lora_checks/passed": 0.0,
        "lora_checks/rows_passed": 0.0,
        "lora_checks/rows": 5.0,
    }
    incomplete = document(verdicts("good", ("identity",)), missing=(("good", "drift"),))["loras"][0]
    assert scalars(incomplete)["lora_checks/passed"] == 0.0
    assert scalars(incomplete)["lora_checks/rows"] == 2.0


def test_a_share_of_missing_faces_is_no_value_of_a_picture(tmp_path: Path) -> None:
    found = pictured(tmp_path)
    row = next(row for row in found["loras"][0]["rows"] if row["check"] == "identity")
    row["measurement"]["stat"] = "missing"
    assert "identity" not in pictures(found["loras"][0], found["run"])[0].caption


def test_pictures_are_the_first_of_each_prompt_whatever_their_values(tmp_path: Path) -> None:
    found = pictured(tmp_path)
    lora = found["loras"][0]
    order = ["green-shirt/0", "red-shirt/0", "green-shirt/1"]
    assert [one.name for one in pictures(lora, found["run"])] == order
    assert [one.name for one in pictures(lora, found["run"], 2)] == order[:2]
    Path(lora["pictures"][0]["file"]).unlink()
    assert [one.name for one in pictures(lora, found["run"])] == order[1:]


def test_everything_that_is_told_is_printable_utf8(tmp_path: Path) -> None:
    found = pictured(tmp_path, (HOSTILE,), prompts=[{"id": "green-shirt", "text": HOSTILE, "tags": []}])
    loras = found["loras"]
    told = [text for _, text in flat(config(found, loras))]
    told += [str(cell) for line in values(loras) for cell in line]
    told += [one.caption for one in pictures(loras[0], found["run"])]
    assert all(text.isprintable() for text in told)  # which lone surrogates are not
    assert len(values(loras)[0]) == len(COLUMNS)


def test_a_server_that_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"http://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", uri)
            folder = written(pictured(tmp_path / "x"), tmp_path / "report")
            lines = list(log_apart([Target("mlflow")], folder, patience=2.0))
    assert time.monotonic() - began < 20
    assert lines == [
        f"mlflow: not logged: mlflow did not finish in 2 s; later: lora-checks log {folder} --to mlflow"
    ]


def test_an_interrupt_ends_the_logging_and_not_the_run(tmp_path: Path) -> None:
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        # a job in the background ignores it
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
            lines = list(log_apart([Target("mlflow"), Target("tensorboard")], folder, patience=60))
        finally:
            signal.signal(signal.SIGINT, before)
    assert lines[0].startswith("mlflow: not logged: interrupted; later: ")
    assert lines[1].startswith("tensorboard: tensorboard --logdir ")


def test_a_client_that_kills_its_process_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    (tmp_path / "tensorboard").mkdir()  # a broken installation stands in front of the real one
    (tmp_path / "tensorboard" / "__init__.py").write_text("import os; os._exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (line,) = log_apart([Target("tensorboard")], folder)
    assert line.startswith("tensorboard: not logged: it ended with status 7; later: ")
