"""TensorBoard: what its own accumulator reads back from the event files."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_world import HOSTILE
from tracker_world import log, pictured, same_bytes, written

pytest.importorskip(
    "tensorboard", reason="tensorboard is not installed: pip install 'lora-checks[tensorboard]'"
)

STEPS = ("person-step00000200", "person-step00000100")
pytestmark = pytest.mark.gate  # each in a process of its own


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two checkpoints of one training run and of another LoRA, logged."""
    report = written(
        pictured(tmp_path_factory.mktemp("x"), (*STEPS, HOSTILE)), tmp_path_factory.mktemp("report")
    )
    done = log(report, "tensorboard")
    assert (done.code, done.contacts) == (0, []), done.err
    assert done.out == "tensorboard: tensorboard --logdir tensorboard\n"
    return report


def events(folder: Path, name: str = "person") -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (found,) = (folder / "tensorboard").glob(f"{name}-*")
    return EventAccumulator(str(found), size_guidance={"images": 0, "scalars": 0, "tensors": 0}).Reload()


def text(found: Any, tag: str) -> str:
    return str(found.Tensors(tag)[0].tensor_proto.string_val[0], "utf-8")


def test_each_row_has_value_interval_and_limits_over_the_steps(folder: Path) -> None:
    found = events(folder)
    assert [(one.step, round(one.value, 6)) for one in found.Scalars("identity/value")] == [
        (100, 0.831),
        (200, 0.831),
    ]
    last = {name: found.Scalars(f"identity/{name}")[-1].value for name in ("low", "high", "min", "margin")}
    assert list(last.values()) == pytest.approx([0.797, 0.865, 0.5, 0.331])
    assert found.Scalars("drift/max")[0].value == 0.25
    assert "drift/min" not in found.Tags()["scalars"]
    assert found.Scalars("lora_checks/passed")[0].value == 0
    assert found.SummaryMetadata("identity/value").summary_description == "arcface, min 0.500: w"


def test_the_pictures_are_the_very_bytes_over_the_steps_with_captions(folder: Path) -> None:
    found = events(folder)
    assert sorted(found.Tags()["images"]) == [
        "pictures/green-shirt/0",
        "pictures/green-shirt/1",
        "pictures/red-shirt/0",
    ]
    first, second = found.Images("pictures/green-shirt/0")
    assert (first.step, second.step, first.width, first.height) == (100, 200, 32, 24)
    with Image.open(io.BytesIO(first.encoded_image_string)) as image:
        assert image.getpixel((0, 0)) == (2, 0, 50)
    said = found.SummaryMetadata("pictures/green-shirt/0").summary_description
    assert "step 100: green-shirt, seed 0: photo of a sks person in a green shirt" in said
    assert said.count("identity 0.831") == 2


def test_outcome_config_table_and_report_are_text(folder: Path) -> None:
    found = events(folder)
    assert text(found, "lora_checks/outcome").count(": FAIL") == 2
    assert f"| policy.digest | {'abcdef99' * 8} |" in text(found, "lora_checks/policy")
    assert "| base.digest | 3f2a91bb |" in text(found, "lora_checks/policy")
    table = text(found, "lora_checks/values").splitlines()
    assert len(table) == 2 + 2 * 3 * 2
    assert any("| green-shirt | 0 | arcface | identity | 0.831 |" in line for line in table)
    assert text(found, "lora_checks/report") == (folder / "report.md").read_text()


def test_the_runs_can_be_compared_by_what_differs(folder: Path) -> None:
    from tensorboard.plugins.hparams import plugin_data_pb2

    found = events(folder)
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    said = {name: value.string_value or value.number_value for name, value in start.hparams.items()}
    assert said["outcome"] == "FAIL"
    assert (said["rank"], said["scale"], said["policy"]) == (4.0, 1.0, "abcdef")


def test_the_report_lies_beside_the_events(folder: Path) -> None:
    (found,) = (folder / "tensorboard").glob("person-*")
    assert same_bytes(found / "report.json", folder)


def test_another_lora_is_another_run_and_a_hostile_name_stays_text(folder: Path) -> None:
    names = [found.name for found in (folder / "tensorboard").iterdir()]
    assert len(names) == 2
    other = events(folder, next(name for name in names if not name.startswith("person"))[:-7])
    assert "<script>" not in text(other, "lora_checks/outcome")


def test_logged_again_it_is_there_once_and_other_events_of_the_folder_stay(tmp_path: Path) -> None:
    report = written(pictured(tmp_path / "x"), tmp_path / "report")
    assert log(report, "tensorboard:runs").out == "tensorboard: tensorboard --logdir runs\n"
    (run,) = (report / "runs").iterdir()
    theirs = run / "events.out.tfevents.1.training"
    theirs.write_bytes(b"")
    assert log(report, "tensorboard:runs").code == 0
    (report / "runs").rename(report / "tensorboard")
    assert len(events(report).Scalars("identity/value")) == 1
    assert (report / "tensorboard" / run.name / theirs.name).exists()


def test_it_needs_neither_torch_nor_tensorflow(tmp_path: Path) -> None:
    report = written(pictured(tmp_path / "x"), tmp_path / "report")
    code = (
        "import sys; from lora_checks.__main__ import main; "
        f"code = main(['log', {str(report)!r}, '--to', 'tensorboard']); "
        "print([name for name in ('torch', 'tensorflow') if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
