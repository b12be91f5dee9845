"""--lora-save-memory WAYS: what changes pixels makes other images, what does not makes the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from world import Gate, Run, World, made, row


def run(gate: Gate, world: World, store: Path, *arguments: object) -> Run:
    policy = world.write(gate.folder / "policy", row("faces", "arcface", "stat: missing, max: 1"), prompts=1)
    return gate("--lora", world.good, "--lora-policy", policy, "--lora-store", store, *arguments)


def test_ways_that_change_pixels_are_part_of_what_an_image_is(gate: Gate, tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = run(gate, gate.world, store)
    assert first.code == 0, first.out + first.err
    assert first.report["run"]["made"] == {"images": 2, "batch_sizes": [1], "vae_dtypes": ["float32"]}
    sliced = run(gate, gate.world, store, "--lora-save-memory", "vae-slicing")
    assert sliced.code == 0, sliced.out + sliced.err
    assert sliced.report["run"]["made"]["images"] == 0  # slices of the VAE are batches of one
    both = run(gate, gate.world, store, "--lora-save-memory", "attention-slicing,vae-tiling")
    assert both.code == 0, both.out + both.err
    assert both.report["run"]["save_memory"] == ["vae-tiling", "attention-slicing"]
    assert both.report["run"]["made"]["images"] == 2
    assert sorted(made(store).values()) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ("vae-tilling", "'vae-tilling' is not a way to save memory; did you mean 'vae-tiling'?"),
        ("", "'' is not a way to save memory; known: vae-slicing, vae-tiling, attention-slicing"),
        ("vae-slicing,,vae-tiling", "'' is not a way to save memory"),
    ],
)
def test_a_way_that_is_none(gate: Gate, ways: str, message: str) -> None:
    run = gate("--lora", gate.world.good, f"--lora-save-memory={ways}")
    assert run.code == 4
    assert f"--lora-save-memory: {message}" in run.err
