"""Rows of gains, shares, worst prompts, tags and the base's images, through the whole gate."""

from __future__ import annotations

from world import Gate

ROWS = """\
  identity-gain: {metric: arcface, gain: true, min: 0.1, rule: bound, max_missing: 0.5, why: the LoRA adds it}
  most-faces: {metric: arcface, stat: {share_at_least: 0.3}, min: 0.5, max_missing: 0.5, why: of most images}
  worst: {metric: arcface, stat: worst_prompt, min: -1, max_missing: 0.5, why: of every prompt}
  changed: {metric: trunk_distance, against: baseline, min: 0.001, why: it does something}
  set-gain: {metric: trunk_frechet, gain: true, max: 0, why: nearer than the base}
  red-shirt: {metric: arcface, tagged: red, min: -1, max_missing: 1, why: there too}
  faces: {metric: arcface, stat: missing, max: 0.9, rule: bound, why: most show a face}
"""


def test_every_kind_of_row_is_measured_and_said(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy", ROWS)
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 0, run.out + run.err
    gain, share, worst, changed = (
        run.row(name)["measurement"] for name in ("identity-gain", "most-faces", "worst", "changed")
    )
    assert gain["gain"]
    assert gain["sides"] == 1
    assert share["stat"] == "share_at_least"
    assert share["low"] < share["value"] < share["high"] or share["value"] == 1
    assert worst["worst"][1] == worst["value"]
    assert changed["against"] == "baseline (8)"
    assert run.row("set-gain")["measurement"]["value"] < 0
    assert run.row("red-shirt")["measurement"]["n"] + run.row("red-shirt")["measurement"]["missing"] == 1
    assert "arcface gain" in run.out
    assert "on red" in run.out


def test_a_row_that_does_not_fit_its_metric_is_refused_before_anything_is_made(gate: Gate) -> None:
    for limits, words in (
        (
            "metric: trunk_frechet, stat: worst_prompt, max: 1",
            "is one value for all images, so it has no stat",
        ),
        ("metric: sharpness, against: baseline, min: 1", "does not compare pictures; 'gain: true' measures"),
    ):
        policy = gate.world.write(gate.folder / "policy", f"  mine: {{{limits}, why: for this test}}\n")
        run = gate("--lora", gate.world.good, "--lora-policy", policy)
        assert run.code == 4
        assert words in run.err


def test_limits_calibrated_on_another_network_are_an_error_that_names_both(gate: Gate) -> None:
    row = "{metric: arcface, min: 0.1, max_missing: 0.5, why: w, calibrated_on: {identity: other, good: [a]}}"
    run = gate(
        "--lora",
        gate.world.good,
        "--lora-policy",
        gate.world.write(gate.folder / "policy", f"  mine: {row}\n"),
    )
    assert run.code == 1
    assert run.outcomes[("good", "mine")] == "ERROR"
    assert run.row("mine")["reason"].startswith("the limits were calibrated on other, but arcface/")


def test_a_limit_that_the_references_themselves_miss_is_an_error(gate: Gate) -> None:
    rows = "  mine: {metric: trunk_frechet, max: 1.0, why: for this test}\n"
    run = gate("--lora", gate.world.good, "--lora-policy", gate.world.write(gate.folder / "policy", rows))
    assert run.code == 4
    assert "cannot be reached with 8 images: references (24) measured against themselves give" in run.err
    assert not (run.report_folder / "report.json").exists()
