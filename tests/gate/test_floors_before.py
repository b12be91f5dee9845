"""What the references give against themselves is known before an image is made, and stands beside values."""

from __future__ import annotations

import numpy as np
import pytest
from world import Gate, row

from lora_checks.metrics.distribution import frechet
from lora_checks.record import codec
from lora_checks.stats import floors

RNG = np.random.default_rng(0)


def test_a_limit_below_its_floor_ends_the_run_before_anything_is_generated(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy", row("distribution", "trunk_frechet", "max: 30"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-store", gate.folder / "fresh")
    assert run.code == 4
    assert "trunk_frechet 30.00 cannot be reached with 8 images: references (24)" in run.err
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


@pytest.mark.parametrize(("images", "references"), [(8, 40), (16, 40), (20, 40), (48, 41), (100, 16)])
def test_the_floor_is_scaled_from_the_parts_to_the_real_numbers(images: int, references: int) -> None:
    """Of a value that is nothing but a bias of 1/N + 1/M it is that bias, whatever the parts are."""
    found = floors.floor(lambda a, b: 1 / len(a) + 1 / len(b), np.zeros((references, 2)), images)
    assert found == pytest.approx(1 / images + 1 / references)


@pytest.mark.parametrize(
    ("pictures", "most", "part", "splits"),
    [(40, None, 20, 8), (41, 30, 20, 8), (40, 9, 9, 8), (512, 9, 9, 1)],
)
def test_the_parts_are_all_pictures_once(pictures: int, most: int | None, part: int, splits: int) -> None:
    seen = []

    def fn(images: np.ndarray, others: np.ndarray) -> float:
        assert sorted(np.concatenate([images, others])[:, 0]) == list(range(pictures))
        seen.append((len(images), len(others)))
        return 0.0

    floors.split(fn, np.arange(float(pictures))[:, None], most)
    assert seen == [(part, pictures - part)] * splits


def test_the_seeds_of_a_prompt_take_turns() -> None:
    assert floors.reseeded(lambda a, b: 10 * len(a) + len(b), np.zeros((6, 2)), ["a"] * 3 + ["b"] * 3) == 42


def test_the_pictures_that_are_chosen_are_spread_evenly() -> None:
    assert floors.chosen(100, 3).tolist() == [0, 49, 99]
    assert floors.chosen(5, 9).tolist() == [0, 1, 2, 3, 4]
    assert len(floors.chosen(100, 90)) == floors.MOST_PICTURES


def test_each_picture_is_held_against_the_others_and_not_against_itself() -> None:
    x = np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    others = floors.each_to_the_others(lambda _, others: others, x)
    np.testing.assert_array_equal(others, [x[[1, 2]], x[[0, 2]], x[[0, 1]]])
    x = np.array([[0.0], [1.0], [3.0]])
    found = floors.each_to_the_others(lambda one, others: np.abs(one - others.T).min(axis=1), x)
    assert found == pytest.approx([1, 1, 2])


def test_verdicts_of_before_are_still_read(gate: Gate) -> None:
    found = gate("--lora", gate.world.good).row("identity")["measurement"]
    old = {key: value for key, value in found.items() if key not in ("themselves", "reseeded", "reseeded_by")}
    assert codec._measurement(old).reseeded == ()
    assert codec._measurement(found).themselves == found["themselves"]
