"""A row that no LoRA could pass ends the run before an image is made, in both kinds of run."""

from __future__ import annotations

import pytest
from world import Gate, row


@pytest.mark.parametrize(
    ("metric", "limits", "words"),
    [
        ("arcface", "stat: missing, max: 0.2, rule: bound", "for share of images with no face: 0 of 8 shows"),
        (
            "flat",
            "max: 0.2, rule: bound",
            "for mean flat: 0 of 8 shows at most 0.312; use 14 prompts or more",
        ),
    ],
)
@pytest.mark.parametrize("most", [None, 32])
def test_a_row_that_cannot_pass_is_refused_before_anything_is_made(
    gate: Gate, metric: str, limits: str, words: str, most: int | None
) -> None:
    policy = gate.world.write(gate.folder / "policy", row("sound", metric, limits))
    looks = ("--lora-until-decided", most) if most else ()
    run = gate(
        "--lora", gate.world.good, "--lora-policy", policy, "--lora-store", gate.folder / "fresh", *looks
    )
    assert run.code == 4
    assert "sound: 8 prompts cannot show max 0.200" in run.err
    assert (words if most is None else words.partition(" shows")[0]) in run.err
    assert not (gate.folder / "fresh" / "images").exists()
