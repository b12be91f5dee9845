"""--lora-offload HOW: where weights wait. There is nothing to offload from on a CPU."""

from __future__ import annotations

import pytest
from world import Gate


@pytest.mark.parametrize("how", ["model", "group", "sequential"])
def test_on_a_cpu_it_has_no_use(gate: Gate, how: str) -> None:
    run = gate("--lora", gate.world.good, "--lora-device", "cpu", "--lora-offload", how)
    assert run.code == 4
    assert f"--lora-offload {how}: moves weights off an accelerator, and this run is on the cpu" in run.err


def test_none_is_recorded(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-offload", "none")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["offload"] == "none"


def test_a_way_that_is_none(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-offload", "disk")
    assert run.code == 4
    assert "invalid choice: 'disk'" in run.err
