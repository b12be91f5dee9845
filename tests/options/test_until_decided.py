"""--lora-until-decided MAX: looks after every batch, on the miniature."""

from __future__ import annotations

from world import Gate, made, row

WHY = "rule: bound, why: for this test"


def test_a_clear_lora_is_decided_by_a_part_of_the_images(gate: Gate) -> None:
    rows = f"  identity: {{metric: arcface, min: 0.3, max_missing: 0.5, {WHY}}}\n"
    policy, store = gate.world.write(gate.folder / "policy", rows), gate.folder / "store"
    run = gate(
        "--lora", gate.world.good, "--lora-policy", policy, "--lora-store", store, "--lora-until-decided", 32
    )
    assert run.outcomes[("good", "identity")] == "PASS", run.out + run.err
    assert run.code == 0
    assert run.report["run"]["until_decided"] == 32
    found = run.row("identity")["measurement"]
    assert found["n"] + found["missing"] <= 16
    assert sum(made(store).values()) == found["n"] + found["missing"] + 1  # and one of the base
    assert "up to 32 images" in run.out


def test_a_lora_that_is_ruled_out_costs_no_more(gate: Gate) -> None:
    rows = f"  identity: {{metric: arcface, min: 0.75, max_missing: 0.5, {WHY}}}\n"
    rows += row("distribution", "trunk_frechet", "max: 1000000.0")
    policy, store = gate.world.write(gate.folder / "policy", rows), gate.folder / "store"
    arguments = (
        "--lora-policy",
        policy,
        "--lora-store",
        store,
        "--lora-until-decided",
        32,
        "--lora-seeds",
        2,
    )
    run = gate("--lora", gate.world.bad, *arguments)
    name = gate.world.bad.stem
    assert run.outcomes[(name, "identity")] == "FAIL", run.out + run.err
    assert run.outcomes[(name, "distribution")] == "INCONCLUSIVE"
    assert "'identity' had ruled the LoRA out after 8 images" in run.row("distribution", name)["reason"]
    assert run.code == 1
    assert sum(made(store).values()) == 9


def test_less_than_the_policys_own_images_is_refused_before_anything_is_made(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-until-decided", 7)
    assert run.code == 4
    assert "--lora-until-decided: the policy's 8 prompts x 1 seed are 8 images, more than 7" in run.err


def test_it_needs_a_lora(gate: Gate) -> None:
    run = gate.pytest("--lora-until-decided", 32)
    assert run.code == 4
    assert "--lora-until-decided is for the LoRA gate" in run.err
