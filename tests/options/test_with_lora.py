"""--lora-with PATH:S: a LoRA that every image is made with, gated one or not."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import Gate, made, row


def policy(gate: Gate) -> Path:
    return gate.world.write(
        gate.folder / "policy", row("identity", "arcface", "min: -1, max_missing: 1"), prompts=1
    )


def test_the_companion_is_on_every_image_the_base_s_too(gate: Gate) -> None:
    given = ("--lora", gate.world.good, "--lora-policy", policy(gate), "--lora-store", gate.folder / "store")
    alone = gate(*given).values["good", "identity"]
    images = set(made(gate.folder / "store"))
    stacked = gate(*given, "--lora-with", f"{gate.world.bad}:0.5")
    assert stacked.code == 0, stacked.out + stacked.err
    assert len(images) == 2  # the candidate and its base
    assert len(set(made(gate.folder / "store")) - images) == 2
    assert stacked.values["good", "identity"] < alone - 0.1  # it pulls towards another person
    (companion,) = stacked.report["run"]["companions"]
    assert (companion["name"], companion["scale"]) == ("wrong-identity", 0.5)
    assert "with wrong-identity:0.5" in stacked.out


def test_two_loras_on_one_base_add_up(gate: Gate) -> None:
    """The same two files, either way round, make the same image."""
    given = ("--lora-policy", policy(gate), "--lora-store", gate.folder / "store")
    one = gate("--lora", gate.world.good, "--lora-with", gate.world.bad, *given).values
    other = gate("--lora", gate.world.bad, "--lora-with", gate.world.good, *given).values
    assert one["good", "identity"] == pytest.approx(other["wrong-identity", "identity"], abs=0.02)


@pytest.mark.parametrize(
    ("companion", "message"),
    [
        ("gone.safetensors:0.5", "does not exist"),
        ("", "--lora-with: the argument is empty"),
    ],
)
def test_a_companion_that_is_not_there(gate: Gate, companion: str, message: str) -> None:
    run = gate("--lora", gate.world.good, "--lora-with", companion)
    assert run.code == 4
    assert message in run.err


def test_a_lora_is_not_its_own_companion(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-with", gate.world.good)
    assert run.code == 1
    assert run.row("applied")["reason"].endswith("is the LoRA under test itself")
