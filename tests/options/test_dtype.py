"""--lora-dtype: the number format of the pipeline, which is part of what an image is."""

from __future__ import annotations

from pathlib import Path

from world import Gate, row


def test_another_format_makes_other_images(gate: Gate, tmp_path: Path) -> None:
    policy = gate.world.write(
        tmp_path / "policy", row("faces", "arcface", "stat: missing, max: 1"), prompts=1
    )
    run = gate(
        "--lora",
        gate.world.good,
        "--lora-policy",
        policy,
        "--lora-dtype",
        "bfloat16",
        "--lora-store",
        "store",
    )
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["dtype"] == "bfloat16"
    made = {path.name for path in (gate.folder / "store").glob("images/*/*.png")}
    assert len(made) == 2
    assert not made & {path.name for path in gate.world.store.glob("images/*/*.png")}


def test_a_format_that_is_none(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-dtype", "float8")
    assert run.code == 4
    assert "invalid choice: 'float8'" in run.err
