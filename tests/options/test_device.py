"""--lora-device NAME: where the networks run."""

from __future__ import annotations

import pytest
from world import Gate


def test_auto_is_recorded_as_what_it_was(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    assert run.report["run"]["device"] in {"cpu", "cuda", "mps"}


def test_cpu(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-device", "cpu")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["device"] == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", ""])
def test_a_device_that_is_none(gate: Gate, name: str) -> None:
    run = gate("--lora", gate.world.good, f"--lora-device={name}")
    assert run.code == 4
    assert f"--lora-device: '{name}' is not a device; use auto, cpu, cuda, cuda:1 or mps" in run.err


def test_a_device_that_this_machine_lacks(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-device", "cuda:63")
    assert run.code == 4
    assert "--lora-device: there is no cuda:63 on this machine; it has " in run.err
    assert "Traceback" not in run.out + run.err
