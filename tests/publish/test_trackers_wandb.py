"""wandb, offline: what its own file holds afterwards."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_world import HOSTILE
from tracker_world import log, pictured, same_bytes, written

pytest.importorskip("wandb", reason="wandb is not installed: pip install 'lora-checks[wandb]'")

STEPS = ("person-step00000200", "person-step00000100")
pytestmark = pytest.mark.gate  # each in a process of its own


def offline(folder: Path, **env: str) -> dict[str, str]:
    places = {f"WANDB_{name}_DIR": str(folder / name) for name in ("CACHE", "DATA", "CONFIG", "ARTIFACT")}
    return {"WANDB_MODE": "offline"} | places | env


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log format, blocks of 32 KiB, behind a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


class Stored:
    """One offline run, read back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = list(records(next(folder.glob("*.wandb"))))
        self.history = [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in r.history.item}
            for r in found
            if r.WhichOneof("record_type") == "history"
        ]
        self.run = next(r.run for r in found if r.WhichOneof("record_type") == "run")
        self.config = {item.key: json.loads(item.value_json) for item in self.run.config.update}
        self.summary = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for r in found
            if r.WhichOneof("record_type") == "summary"
            for item in r.summary.update
        }
        self.artifacts = [
            r.artifact if r.WhichOneof("record_type") == "artifact" else r.request.log_artifact.artifact
            for r in found
            if r.WhichOneof("record_type") == "artifact" or r.request.HasField("log_artifact")
        ]
        self.metrics = {
            r.metric.glob_name or r.metric.name: r.metric
            for r in found
            if r.WhichOneof("record_type") == "metric"
        }

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [row for row in self.history if "identity/value" in row]


def runs(folder: Path) -> list[Stored]:
    return [Stored(found) for found in sorted((folder / "wandb").glob("offline-run-*"))]


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints of one training run, logged."""
    folder = written(pictured(tmp_path_factory.mktemp("wandb"), STEPS), tmp_path_factory.mktemp("report"))
    done = log(folder, "wandb", **offline(folder, WANDB_RUN_ID="training1"))
    assert done.code == 0, done.err
    assert done.contacts == []
    assert done.out.startswith("wandb: ")
    assert "(wandb sync " in done.out
    return folder


def test_checkpoints_of_one_run_are_one_run_over_their_steps(series: Path) -> None:
    (stored,) = runs(series)
    assert [row["lora_checks/step"] for row in stored.rows] == [100, 200]
    assert stored.run.display_name == "person"
    assert stored.run.project == "lora-checks"
    assert {"identity/*", "drift/*", "prompt adherence/*"} <= set(stored.metrics)
    assert stored.metrics["lora_checks/step"].name == "lora_checks/step"


def test_each_row_has_value_interval_and_limits(series: Path) -> None:
    row = runs(series)[0].rows[0]
    names = ("value", "low", "high", "min", "margin")
    assert [row[f"identity/{name}"] for name in names] == pytest.approx([0.831, 0.797, 0.865, 0.5, 0.331])
    assert row["drift/max"] == 0.25
    assert "drift/min" not in row
    assert (row["lora_checks/passed"], row["lora_checks/rows_passed"], row["lora_checks/rows"]) == (0, 2, 3)


def test_the_outcome_is_a_tag_and_in_the_summary_and_the_config_says_what_was_compared(series: Path) -> None:
    (stored,) = runs(series)
    assert list(stored.run.tags) == ["FAIL"]
    assert stored.summary["lora_checks/outcome"] == "FAIL"
    assert stored.config["policy"]["digest"] == "abcdef99" * 8
    assert stored.config["base"]["digest"] == "3f2a91bb"
    assert stored.config["versions"] == ["torch 2.14.1", "diffusers 0.42.1"]
    assert stored.config["hardware"] == "cpu"
    assert [one["step"] for one in stored.config["loras"]] == [100, 200]


def test_the_pictures_are_there_with_captions(series: Path) -> None:
    stored = runs(series)[0]
    captions = stored.rows[0]["lora_checks/pictures/captions"]
    assert captions[0] == (
        "green-shirt, seed 0: photo of a sks person in a green shirt: "
        "prompt adherence 0.214, drift 0.181, identity 0.831"
    )
    assert captions[1] == "red-shirt, seed 0: photo of a sks person in a red shirt"
    files = [row["lora_checks/pictures/filenames"] for row in stored.rows]
    assert [len(names) for names in files] == [3, 3]
    with Image.open(stored.folder / "files" / files[1][0]) as image:
        assert image.getpixel((0, 0)) == (1, 0, 50)  # of the LoRA that came first, whose step is the later


def test_the_table_has_each_value_of_each_picture(series: Path) -> None:
    stored = runs(series)[0]
    place = next(row[key] for row in stored.history for key in row if key == "lora_checks/values/path")
    table = json.loads((stored.folder / "files" / place).read_text())
    lines = [dict(zip(table["columns"], cells, strict=True)) for cells in table["data"]]
    assert len(lines) == 2 * 3 * 2
    asked = [line for line in lines if (line["step"], line["check"]) == (100, "identity")]
    assert [(line["prompt"], line["seed"], line["metric"], line["value"]) for line in asked] == [
        ("green-shirt", 0, "arcface", 0.831),
        ("green-shirt", 1, "arcface", None),
    ]


def test_the_report_is_an_artifact(series: Path) -> None:
    (artifact,) = (one for one in runs(series)[0].artifacts if one.type == "lora-checks-report")
    paths = {entry.path: entry for entry in artifact.manifest.contents}
    assert set(paths) == {"report.json", "report.md"}
    assert same_bytes(Path(paths["report.json"].local_path), series)


def test_loras_of_different_runs_are_different_runs_and_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = written(pictured(tmp_path / "x", ("good", HOSTILE)), tmp_path / "report")
    done = log(folder, "wandb:team/quality", **offline(folder, WANDB_PROJECT="theirs"))
    assert done.code == 0, done.err
    stored = runs(folder)
    assert len(stored) == 2
    assert {(one.run.entity, one.run.project) for one in stored} == {("team", "quality")}
    assert "\x1b" not in "".join(one.run.display_name for one in stored)


def test_a_run_that_is_named_by_its_id_gets_no_results_of_another(series: Path, tmp_path: Path) -> None:
    assert runs(series)[0].run.run_id == "training1"
    several = written(pictured(tmp_path / "y", ("good", "bad")), tmp_path / "several")
    done = log(several, "wandb", **offline(several, WANDB_RUN_ID="training1"))
    assert done.code == 1
    assert "WANDB_RUN_ID names one run, but the report has LoRAs of 2" in done.out


def test_without_a_login_it_says_so_and_how_to_log_it_later(tmp_path: Path) -> None:
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    before = (folder / "report.json").read_bytes()
    env = offline(folder, WANDB_MODE="online", WANDB_API_KEY="", NETRC=str(folder / "netrc"))
    done = log(folder, "wandb", **env)
    assert done.code == 1
    assert done.out.startswith("wandb: not logged: ")
    assert f"later: lora-checks log {folder} --to wandb" in done.out
    assert (folder / "report.json").read_bytes() == before


def test_disabled_is_said(tmp_path: Path) -> None:
    folder = written(pictured(tmp_path / "x"), tmp_path / "report")
    done = log(folder, "wandb", **offline(folder, WANDB_MODE="disabled"))
    assert (done.code, done.out) == (0, "wandb: nothing logged, because WANDB_MODE is disabled\n")
