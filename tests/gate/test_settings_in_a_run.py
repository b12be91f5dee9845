"""Whole runs with settings that the base ignores, and with a sampler of the base's own."""

from __future__ import annotations

from pathlib import Path

from world import Gate, made, row

GAIN = row("crisper", "sharpness", "gain: true, min: -1000000.0")


def policy(gate: Gate, sampler: str, rows: str = GAIN) -> Path:
    folder = gate.world.write(gate.folder / "policy", rows, prompts=2)
    file = folder / "prompts.yaml"
    before = "guidance: 2.0, width: 64, height: 64"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, f"width: 64, height: 64, {sampler}"))
    return folder


def test_a_setting_that_the_base_ignores_ends_in_an_error_without_an_image(gate: Gate) -> None:
    store = gate.folder / "store"
    run = gate(
        "--lora", gate.world.good, "--lora-policy", policy(gate, "guidance: 0.5"), "--lora-store", store
    )
    assert run.code != 0
    assert run.report["outcome"] == "ERROR"
    reason = run.row("crisper")["reason"]
    assert "prompts.yaml:2: sampler.guidance: guidance_scale 0.5 has no effect on this base" in reason
    assert not made(store)
    assert not list((store / "images").rglob("*.png"))


def test_the_base_s_images_have_settings_of_their_own(gate: Gate) -> None:
    store, base = gate.folder / "store", "guidance: 1.0, base: {steps: 2, guidance: 3.0}"
    arguments = ("--lora", gate.world.good, "--lora-policy", policy(gate, base), "--lora-store", store)
    run = gate(*arguments)
    assert run.code == 0, run.out + run.err
    record = run.report["run"]
    assert (record["sampler"]["steps"], record["sampler"]["guidance"]) == (4, 1.0)
    assert (record["base_sampler"]["steps"], record["base_sampler"]["guidance"]) == (2, 3.0)
    assert any("prompts.yaml:2: sampler.base.steps: " in text for text in record["warnings"])
    # two with the LoRA, two of the base, and the base's first at the LoRA's settings
    assert sum(made(store).values()) == 5
    assert gate(*arguments).report["run"]["made"]["images"] == 0


def test_a_row_of_pairs_is_refused_before_the_first_image(gate: Gate) -> None:
    rows = row("kept", "ssim", "against: baseline, min: 0.1")
    folder = policy(gate, "guidance: 2.0, base: {steps: 2}", rows)
    run = gate("--lora", gate.world.good, "--lora-policy", folder, "--lora-store", gate.folder / "store")
    assert run.code == 4
    assert "thresholds.yaml:" in run.out + run.err
    assert "no pairs: the base's images have other steps" in run.out + run.err
