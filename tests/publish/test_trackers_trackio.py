"""Trackio in a local folder: what its own database and API give back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_world import HOSTILE
from tracker_world import log, pictured, same_bytes, written

pytest.importorskip("trackio", reason="trackio is not installed: pip install 'lora-checks[trackio]'")

STEPS = ("person-step00000200", "person-step00000100")
pytestmark = pytest.mark.gate  # each in a process of its own
READ = """
import json, sys
import trackio
from trackio.sqlite_storage import SQLiteStorage

project = sys.argv[1]
print(json.dumps({
    run.name: {
        "config": run.config,
        "logs": SQLiteStorage.get_logs(project, run.name),
        "alerts": run.alerts(),
    }
    for run in trackio.Api().runs(project)
}, default=str))
"""


def stored(home: Path, project: str) -> dict[str, Any]:
    """In a process of its own: trackio reads TRACKIO_DIR when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", READ, project],
        env=os.environ | {"TRACKIO_DIR": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trackio")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    """A report of two checkpoints of one training run and of another LoRA, logged."""
    report = written(
        pictured(tmp_path_factory.mktemp("x"), (*STEPS, HOSTILE)), tmp_path_factory.mktemp("report")
    )
    done = log(report, "trackio:portraits", TRACKIO_DIR=str(home))
    assert (done.code, done.contacts) == (0, []), done.err
    assert done.out == "trackio: trackio show --project portraits\n"
    return report


@pytest.fixture(scope="module")
def runs(folder: Path, home: Path) -> dict[str, Any]:
    assert folder.is_dir()
    return stored(home, "portraits")


def test_each_row_has_value_interval_and_limits_over_the_steps(runs: dict[str, Any]) -> None:
    rows = [row for row in runs["person"]["logs"] if "identity/value" in row]
    assert [row["step"] for row in rows] == [100, 200]
    names = ("value", "low", "high", "min", "margin")
    assert [rows[0][f"identity/{name}"] for name in names] == pytest.approx([0.831, 0.797, 0.865, 0.5, 0.331])
    assert rows[0]["drift/max"] == 0.25
    assert "drift/min" not in rows[0]
    assert (rows[0]["lora_checks/passed"], rows[0]["lora_checks/outcome"]) == (0, "FAIL")


def test_the_config_says_what_was_compared_and_a_failure_is_an_alert(runs: dict[str, Any]) -> None:
    config = runs["person"]["config"]
    assert config["outcome"] == "FAIL"
    assert config["policy"]["digest"] == "abcdef99" * 8
    assert config["base"]["digest"] == "3f2a91bb"
    assert config["versions"] == ["torch 2.14.1", "diffusers 0.42.1"]
    assert [alert["title"] for alert in runs["person"]["alerts"]] == ["person: FAIL"]


def test_the_pictures_are_there_with_captions(runs: dict[str, Any], home: Path) -> None:
    row = next(row for row in runs["person"]["logs"] if row.get("step") == 100)
    shown = row["pictures/green-shirt/0"]
    assert shown["caption"].endswith("prompt adherence 0.214, drift 0.181, identity 0.831")
    with Image.open(home / "media" / shown["file_path"]) as image:
        assert image.getpixel((0, 0)) == (2, 0, 50)
    assert "pictures/red-shirt/0" in row


def test_the_table_has_each_value_of_each_picture(runs: dict[str, Any]) -> None:
    tables = [row["lora_checks/values"] for row in runs["person"]["logs"] if row.get("lora_checks/values")]
    lines = tables[0]["_value"]
    assert len(lines) == 2 * 3 * 2
    asked = [line for line in lines if (line["step"], line["check"]) == (100, "identity")]
    assert [(line["prompt"], line["seed"], line["metric"], line["value"]) for line in asked] == [
        ("green-shirt", 0, "arcface", 0.831),
        ("green-shirt", 1, "arcface", None),
    ]


def test_the_report_is_an_artifact(folder: Path, home: Path) -> None:
    blobs = [path for path in (home / "artifacts" / "portraits").rglob("*") if path.is_file()]
    assert any(same_bytes(blob, folder) for blob in blobs)


def test_another_lora_is_another_run_and_a_hostile_name_stays_text(runs: dict[str, Any]) -> None:
    assert len(runs) == 2
    assert all(name.isprintable() for name in runs)
