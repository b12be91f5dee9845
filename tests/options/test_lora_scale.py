"""--lora-scale S,S: every LoRA at each of these strengths."""

from __future__ import annotations

import pytest
from world import Gate, made, row


@pytest.fixture(scope="module")
def policy_rows() -> str:
    return row("identity", "arcface", "min: -1, max_missing: 1")


def test_each_strength_is_judged_by_itself(gate: Gate, policy_rows: str) -> None:
    policy = gate.world.write(gate.folder / "policy", policy_rows, prompts=1)
    store = gate.folder / "store"
    run = gate(
        "--lora", gate.world.good, "--lora-scale", "0.25,1", "--lora-policy", policy, "--lora-store", store
    )
    assert run.code == 0, run.out + run.err
    assert [(lora["name"], lora["scale"]) for lora in run.report["loras"]] == [
        ("good:0.25", 0.25),
        ("good:1", 1.0),
    ]
    assert run.values["good:0.25", "identity"] < run.values["good:1", "identity"] - 0.1
    assert "good.safetensors at 0.25  PASS" in run.out
    weak, full = (
        run.row("applied", f"good:{scale}")["details"]["proof"]["effect"]["unet"] for scale in ("0.25", "1")
    )
    assert 0 < weak < full
    # at strength 1 it is what a run without the option makes
    plain = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-store", store)
    assert set(made(store).values()) == {1}
    assert plain.values["good", "identity"] == run.values["good:1", "identity"]


@pytest.mark.parametrize("scales", ["0", "a", "1,1"])
def test_what_is_no_strength_is_an_error(gate: Gate, scales: str) -> None:
    run = gate("--lora", gate.world.good, f"--lora-scale={scales}")
    assert run.code == 4
    assert "--lora-scale: " in run.err
