"""--lora PATH: a file, several, a folder of them, or a quoted pattern."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from world import Gate

ROWS = ("file", "applied", "faces", "identity", "likeness", "distribution")


@pytest.fixture
def folder(gate: Gate) -> Path:
    """A training run's folder with both LoRAs and other things."""
    found = gate.folder / "runs"
    found.mkdir()
    shutil.copy(gate.world.good, found / "step-2.safetensors")
    shutil.copy(gate.world.bad, found / "step-10.safetensors")
    (found / "log.txt").write_text("")
    return found


def test_a_file(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    assert run.code == 0, run.out + run.err
    assert run.outcomes == {("good", row): "PASS" for row in ROWS}
    assert "good.safetensors  PASS  6 of 6 rows" in run.out


def test_a_path_relative_to_where_pytest_is_started(gate: Gate) -> None:
    shutil.copy(gate.world.good, gate.folder / "good.safetensors")
    assert gate("--lora", "good.safetensors").code == 0


def test_several_in_the_order_given(gate: Gate) -> None:
    run = gate("--lora", gate.world.bad, "--lora", gate.world.good)
    assert run.code == 1
    assert [lora["name"] for lora in run.report["loras"]] == ["wrong-identity", "good"]


def test_the_same_file_twice_is_one_lora(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora", gate.world.good)
    assert [lora["name"] for lora in run.report["loras"]] == ["good"]


def test_a_folder_in_the_order_of_its_steps(gate: Gate, folder: Path) -> None:
    run = gate("--lora", folder)
    assert [lora["name"] for lora in run.report["loras"]] == ["step-2", "step-10"]
    assert run.code == 1


def test_a_quoted_pattern(gate: Gate, folder: Path) -> None:
    del folder
    run = gate("--lora", "runs/*-2.safetensors")
    assert run.code == 0
    assert [lora["name"] for lora in run.report["loras"]] == ["step-2"]


def test_two_files_of_one_name_are_told_apart(gate: Gate) -> None:
    for folder, lora in (("a", gate.world.good), ("b", gate.world.bad)):
        (gate.folder / folder).mkdir()
        shutil.copy(lora, gate.folder / folder / "final.safetensors")
    run = gate("--lora", "a/final.safetensors", "--lora", "b/final.safetensors")
    assert [lora["name"] for lora in run.report["loras"]] == ["a-final", "b-final"]
    assert run.outcomes["a-final", "identity"] == "PASS"
    assert run.outcomes["b-final", "identity"] == "FAIL"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone.safetensors", "gone.safetensors does not exist"),
        ("runs/stpe-2.safetensors", "did you mean 'step-2.safetensors'?"),
        ("runs/*.bin", "no file matches 'runs/*.bin'"),
        ("empty", "has no *.safetensors file, it holds: nothing"),
        ("", "the argument is empty"),
    ],
)
def test_a_path_that_names_nothing(gate: Gate, folder: Path, path: str, message: str) -> None:
    (folder.parent / "empty").mkdir()
    run = gate("--lora", path)
    assert run.code == 4
    assert message in run.err
    assert "Traceback" not in run.out + run.err


@pytest.mark.parametrize(
    "given",
    [
        ("--lora-policy", "."),
        ("--lora-thresholds", "t.yaml"),
        ("--lora-prompts", "p.yaml"),
        ("--lora-references", "photos"),
        ("--lora-base", "team/base"),
        ("--lora-store", "kept"),
        ("--lora-report", "out"),
        ("--lora-seeds", "2"),
    ],
    ids=lambda given: given[0],
)
def test_a_gating_option_without_a_lora_is_an_error(gate: Gate, given: tuple[str, str]) -> None:
    run = gate.pytest(*given)
    assert run.code == 4
    assert f"{given[0]} is for the LoRA gate: say which LoRA with --lora PATH" in run.err
