"""--lora-seeds N: images per prompt. More than the policy lists: see test_batch_size.py, which generates."""

from __future__ import annotations

import pytest
from world import Gate


def test_fewer_are_the_first_of_the_policy_s(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy")
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace("seeds: [1]", "seeds: [1, 7, 9]"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-seeds", "1")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["seeds"] == [1]
    assert "8 prompts x 1 seed" in run.out


@pytest.mark.parametrize("count", ["0", "-1"])
def test_none_is_an_error(gate: Gate, count: str) -> None:
    run = gate("--lora", gate.world.good, f"--lora-seeds={count}")
    assert run.code == 4
    assert f"--lora-seeds: must be at least 1, not {count}" in run.err
