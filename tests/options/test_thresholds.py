"""--lora-thresholds FILE: other limits on the same images."""

from __future__ import annotations

from world import Gate, row


def test_another_file_judges(gate: Gate) -> None:
    stricter = gate.world.write(
        gate.folder / "strict", row("identity", "arcface", "min: 0.99, max_missing: 0.5")
    )
    run = gate("--lora", gate.world.good, "--lora-thresholds", stricter / "thresholds.yaml")
    assert run.code == 1
    assert run.outcomes == {
        ("good", "file"): "PASS",
        ("good", "applied"): "PASS",
        ("good", "identity"): "FAIL",
    }
    assert run.row("identity")["threshold"]["min"] == 0.99


def test_a_file_that_is_not_there(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-thresholds", "gone.yaml")
    assert run.code == 4
    assert "--lora-thresholds: " in run.err
    assert "gone.yaml is not a file" in run.err
