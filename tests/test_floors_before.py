"""What the references give against themselves is known before an image is made, and stands beside values."""

from __future__ import annotations

import numpy as np
import pytest
from world import Gate, row

from lora_checks import floors
from lora_checks.metrics.distribution import frechet
from lora_checks.report import codec

RNG = np.random.default_rng(0)


def test_a_limit_below_its_floor_ends_the_run_before_anything_is_generated(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy", row("distribution", "trunk_frechet", "max: 30"))
    run = gate("--lora", gate.world.good, "--policy", policy, "--store", gate.folder / "fresh")
    assert run.code == 4
    assert (
        "trunk_frechet 30.00 cannot be reached with 8 images: references (24) against themselves" in run.err
    )
    assert not (gate.folder / "fresh" / "images").exists()


def test_a_row_says_what_the_pictures_that_it_compares_with_give_themselves(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    identity = run.row("identity")["measurement"]
    assert 0.9 < identity["themselves"] < 1  # drawings of one person
    assert identity["value"] < identity["themselves"]


def test_the_images_are_held_against_other_seeds_or_else_against_halves_of_themselves() -> None:
    x = RNG.normal(size=(16, 4))
    by, values = floors.again(frechet, x, ["a", "a"] * 4 + ["b", "b"] * 4)
    assert (by, len(values)) == ("seeds", 1)
    by, values = floors.again(frechet, x, [str(i) for i in range(16)])
    assert by == "halves"
    assert 0 < values[0] < values[1]
    assert floors.again(frechet, x[:8], [str(i) for i in range(8)]) == ("", [])


def test_each_picture_is_held_against_the_others_and_not_against_itself() -> None:
    x = np.array([[0.0], [1.0], [3.0]])
    found = floors.each_to_the_others(lambda one, others: np.abs(one - others.T).min(axis=1), x)
    assert found == pytest.approx([1, 1, 2])


def test_verdicts_of_before_are_still_read(gate: Gate) -> None:
    found = gate("--lora", gate.world.good).row("identity")["measurement"]
    old = {key: value for key, value in found.items() if key not in ("themselves", "reseeded", "reseeded_by")}
    assert codec._measurement(old).reseeded == ()
    assert codec._measurement(found).themselves == found["themselves"]
