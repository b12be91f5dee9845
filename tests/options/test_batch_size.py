"""--lora-batch-size N decides how fast images are made, never which; with --lora-seeds on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from world import Gate, Run, World, row

IMAGES = [f"red_{seed}.png" for seed in (1, 2, 3, 4)]


@dataclass(frozen=True)
class Made:
    run: Run
    images: dict[str, np.ndarray]


def make(world: World, folder: Path, *arguments: str) -> Made:
    """Four images of one prompt."""
    policy = world.write(folder / "policy", row("faces", "arcface", "stat: missing, max: 1"), prompts=1)
    gate = Gate(folder, world)
    where = ("--lora-policy", policy, "--lora-store", folder / "store")
    run = gate("--lora", world.good, "--lora-seeds", "4", *where, *arguments)
    assert run.code == 0, run.out + run.err
    shown = folder / run.row("faces")["images"]
    return Made(run, {path.name: np.asarray(Image.open(path)).astype(int) for path in shown.glob("*.png")})


@pytest.fixture(scope="module")
def in_one(world: World, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(world, tmp_path_factory.mktemp("four"), "--lora-batch-size", "4")


@pytest.fixture(scope="module")
def one_by_one(world: World, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(world, tmp_path_factory.mktemp("single"), "--lora-batch-size", "1")


def test_no_pixel_is_more_than_one_grey_level_apart(in_one: Made, one_by_one: Made) -> None:
    assert sorted(in_one.images) == sorted(one_by_one.images) == IMAGES
    apart = max(np.abs(in_one.images[name] - one_by_one.images[name]).max() for name in IMAGES)
    assert apart <= 1


def test_the_record_says_how_it_was_made(in_one: Made, one_by_one: Made) -> None:
    assert in_one.run.report["run"]["batch_size"] == 4
    assert one_by_one.run.report["run"]["batch_size"] == 1
    assert in_one.run.report["run"]["made"]["batch_sizes"] == [1, 4]  # one image of the base stands alone
    assert one_by_one.run.report["run"]["made"]["batch_sizes"] == [1]


def test_seeds_beyond_the_policy_s_go_on_counting(in_one: Made) -> None:
    """--lora-seeds 4 of a policy with seeds: [1]."""
    assert in_one.run.report["run"]["seeds"] == [1, 2, 3, 4]
    different = [in_one.images[name] for name in IMAGES]
    assert all(np.abs(different[0] - other).max() > 20 for other in different[1:])


def test_progress_is_told_in_lines_where_there_is_no_terminal(in_one: Made) -> None:
    assert "generating good: 0 of 4 images" in in_one.run.err
    assert "generating good: 4 of 4 images" in in_one.run.err


SHORT = """
import functools

import torch
from diffusers import StableDiffusionPipeline

whole = StableDiffusionPipeline.__call__

@functools.wraps(whole)
def short(self, prompt, **rest):
    if isinstance(prompt, list) and len(prompt) > 2:  # the proof gives one as a text
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
    return whole(self, prompt, **rest)

StableDiffusionPipeline.__call__ = short
"""


def test_a_batch_that_memory_does_not_hold_is_halved_once(world: World, in_one: Made, tmp_path: Path) -> None:
    """A device that is too small, in place of which the pipeline raises; the images are the same."""
    Gate(tmp_path, world).conftest(SHORT)
    halved = make(world, tmp_path, "--lora-batch-size", "4")
    assert halved.run.err.count("memory holds no 4 images at a time: batches of 2 from here on") == 1
    facts = halved.run.report["run"]
    assert facts["made"] == {"images": 5, "batch_sizes": [1, 2], "vae_dtypes": ["float32"]}
    assert facts["batch_size"] == 4  # what was asked for
    apart = max(np.abs(halved.images[name] - in_one.images[name]).max() for name in IMAGES)
    assert apart <= 1


@pytest.mark.parametrize("size", ["0", "-2"])
def test_a_size_that_makes_no_sense(gate: Gate, size: str) -> None:
    run = gate("--lora", gate.world.good, f"--lora-batch-size={size}")
    assert run.code == 4
    assert "--lora-batch-size must be 1 or more" in run.err


def test_no_number(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-batch-size", "many")
    assert run.code == 4
    assert "invalid int value: 'many'" in run.err
