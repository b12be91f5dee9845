"""--prompts FILE: other prompts for the same limits."""

from __future__ import annotations

from world import Gate


def test_another_file_is_generated(gate: Gate) -> None:
    fewer = gate.world.write(gate.folder / "fewer", prompts=3)
    run = gate("--lora", gate.world.good, "--prompts", fewer / "prompts.yaml")
    assert run.report["run"]["prompts"] == 3
    measured = run.row("identity")["measurement"]
    assert measured["n"] + measured["missing"] == 3
    assert [name for name, _ in measured["per_image"]] == ["red/1", "blue/1", "green/1"]


def test_a_file_that_is_not_there(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--prompts", "gone.yaml")
    assert run.code == 4
    assert "gone.yaml is not a file" in run.err
