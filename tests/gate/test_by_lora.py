"""Several LoRAs and several processes: a LoRA's tests stay together, unless asked otherwise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from world import Gate

from lora_checks.gate.by_lora import ByLora, even


def units(names: list[str]) -> Any:
    made = ByLora.__new__(ByLora)
    made.by_id = ByLora.ids(names)
    return made._split_scope


def test_a_test_belongs_to_the_lora_that_its_parameters_name() -> None:
    unit = units(["a", "a-b", "step:0.8", "grün"])
    gate = "lora_checks/gate/test_lora_thresholds.py::test_lora_threshold"
    assert unit(f"{gate}[a-identity]") == "a"
    assert unit(f"{gate}[a-b-identity]") == "a-b"
    assert unit(f"{gate}[a-b]") == "a-b"
    assert unit(f"{gate}[step:0.8-not-a-copy]") == "step:0.8"
    assert unit(f"{gate}[gr\\xfcn-identity]") == "grün"


def test_a_test_without_a_lora_is_a_unit_of_its_own() -> None:
    assert units(["a"])("my_checks/test_mine.py::test_x") == "my_checks/test_mine.py::test_x"
    assert units(["a"])("my_checks/test_mine.py::test_x[other]") == "my_checks/test_mine.py::test_x[other]"


@pytest.mark.parametrize(
    ("loras", "workers", "expected"),
    [(2, 2, True), (12, 2, True), (9, 2, True), (3, 2, False), (1, 2, False), (5, 4, False), (39, 4, True)],
)
def test_loras_are_kept_whole_where_that_leaves_no_worker_idle_for_long(
    loras: int, workers: int, expected: bool
) -> None:
    assert even(loras, workers) is expected


def who(out: str) -> dict[str, set[str]]:
    """LoRA -> the workers that ran its tests."""
    found: dict[str, set[str]] = {}
    for worker, lora in re.findall(r"^\[(gw\d)\] .*\[(good|bad)\b", out, re.MULTILINE):
        found.setdefault(lora, set()).add(worker)
    return found


@pytest.mark.parametrize(
    ("more", "apart"),
    [((), True), (("--dist", "loadfile"), False)],
    ids=["ours", "the user's own"],
)
def test_each_worker_takes_whole_loras_unless_dist_is_given(
    gate: Gate, tmp_path: Path, more: tuple[str, ...], apart: bool
) -> None:
    loras = [tmp_path / f"{name}.safetensors" for name in ("good", "bad")]
    for path, made in zip(loras, (gate.world.good, gate.world.bad), strict=True):
        path.write_bytes(made.read_bytes())
    run = gate("--lora", loras[0], "--lora", loras[1], "-n", "2", "-v", *more)
    ran = who(run.out)
    assert ran.keys() == {"good", "bad"}, run.out + run.err
    assert (all(len(workers) == 1 for workers in ran.values()) and ran["good"] != ran["bad"]) == apart


def test_one_lora_is_shared_by_its_images_as_before(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "-n", "2", "-v")
    assert run.code == 0, run.out + run.err
    assert len(set(re.findall(r"^\[(gw\d)\]", run.out, re.MULTILINE))) == 2
