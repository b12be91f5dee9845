"""Levels of looks, compared with published boundaries and simulation; the order of prompts."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from lora_checks.stats import sequential, shares
from lora_checks.stats.intervals import mean_interval
from lora_checks.stats.sequential import Look

FIFTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def pocock(share: float, error: float) -> float:
    """Spend as Lan & DeMets' Pocock type does."""
    return error * math.log(1 + (math.e - 1) * share)


def obrien_fleming(share: float, error: float) -> float:
    """Spend as Lan & DeMets' O'Brien-Fleming type does: next to nothing early."""
    return float(2 * norm.sf(norm.isf(error / 2) / math.sqrt(share)))


def test_the_obrien_fleming_type_has_lan_and_demets_boundaries() -> None:
    """Five looks at two-sided 5 %, as published for the programs ld98 and WinLD."""
    found = sequential.bounds(FIFTHS, 0.025, obrien_fleming)
    assert found == pytest.approx((4.8769, 3.3569, 2.6803, 2.2898, 2.0310), abs=2e-4)


def test_the_pocock_type_has_lan_and_demets_boundaries() -> None:
    found = sequential.bounds(FIFTHS, 0.025, pocock)
    assert found == pytest.approx((2.4380, 2.4268, 2.4101, 2.3966, 2.3859), abs=1e-4)


def test_a_single_look_spends_everything() -> None:
    assert sequential.levels((64,), 0.05) == pytest.approx((0.05,))


def test_levels_do_not_depend_on_the_number_of_images_but_on_their_shares() -> None:
    assert sequential.levels((16, 32, 64), 0.05) == pytest.approx(sequential.levels((4, 8, 16), 0.05))


def test_what_is_spent_adds_up() -> None:
    """Of 200,000 normal paths, about 5 % cross some bound, and about 0.05/16 the first of four."""
    images = np.array([16, 32, 48, 64])
    bounds = norm.isf(sequential.levels(images.tolist(), 0.05))
    steps = np.random.default_rng(1).normal(size=(200_000, 4)) * 4
    crossed = steps.cumsum(axis=1) / np.sqrt(images) > bounds
    assert crossed.any(axis=1).mean() == pytest.approx(0.05, abs=0.0015)
    assert crossed[:, 0].mean() == pytest.approx(0.05 / 16, abs=0.0004)


@pytest.mark.parametrize(
    ("shares", "error"), [((0.5, 0.5, 1.0), 0.05), ((0.0, 1.0), 0.05), ((1.0,), 0.5), ((1.0,), 0.0)]
)
def test_looks_that_do_not_rise_spend_nothing(shares: tuple[float, ...], error: float) -> None:
    with pytest.raises(ValueError, match="cannot spend"):
        sequential.bounds(shares, error)


@pytest.mark.parametrize(
    ("prompts", "seeds", "most", "looks"),
    [
        (16, 2, 64, [(16, 1), (16, 2), (16, 3), (16, 4)]),
        (64, 1, 64, [(16, 1), (24, 1), (32, 1), (48, 1), (64, 1)]),
        (32, 1, 64, [(16, 1), (24, 1), (32, 1), (32, 2)]),
        (25, 2, 100, [(25, 1), (25, 2), (25, 3), (25, 4)]),
        (32, 2, 64, [(16, 1), (24, 1), (32, 1), (32, 2)]),  # 48 are no whole seed for all
        (12, 1, 12, [(8, 1), (9, 1), (12, 1)]),
        (16, 2, 600, [(16, n) for n in (2, 3, 4, 7, 9, 14, 18, 28, 37)]),
        (16, 4, 70, [(16, 1), (16, 2), (16, 3), (16, 4)]),
        (4, 1, 8, [(4, 1), (4, 2)]),
    ],
)  # fmt: skip
def test_new_prompts_come_before_more_seeds(
    prompts: int, seeds: int, most: int, looks: list[tuple[int, int]]
) -> None:
    found = sequential.plan(prompts, seeds, most)
    assert [(look.prompts, look.seeds) for look in found] == looks


def test_the_policys_own_images_are_always_one_of_the_looks() -> None:
    for prompts, seeds, most in ((16, 2, 100), (25, 3, 500), (10, 1, 1000), (16, 4, 64)):
        assert Look(prompts, seeds) in sequential.plan(prompts, seeds, most)


def test_fewer_images_than_the_policys_own_cannot_be_planned() -> None:
    with pytest.raises(ValueError, match="16 x 2 images are more than 31"):
        sequential.plan(16, 2, 31)


def test_the_order_is_fixed_and_every_arm_grows_at_the_same_pace() -> None:
    names = [f"p{i}" for i in range(24)]
    arms = ["" if i < 16 else "no-trigger" for i in range(24)]
    found = sequential.order(names, arms)
    assert sorted(found) == list(range(24))
    assert found == sequential.order(names, arms)
    assert list(found) != list(range(24))
    for size in (6, 12, 18):
        assert abs(sum(arms[i] == "no-trigger" for i in found[:size]) - size / 3) <= 1


def test_the_order_is_of_the_names_and_not_of_their_places() -> None:
    names = [f"p{i}" for i in range(24)]
    shuffled = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    for given in (names, names[::-1]):
        assert [given[i] for i in sequential.order(given, [""] * 24)] == shuffled


def wrong(draw: NDArray[np.float64], looks: tuple[Look, ...], spread_of_seeds: float, runs: int) -> float:
    """Return the share of runs in which the upper bound of some look is below the true mean 0."""
    rng = np.random.default_rng(3)
    levels = sequential.levels([look.images for look in looks], sequential.SPENT * 0.05)
    noise = rng.normal(0, spread_of_seeds, (runs, looks[-1].prompts, looks[-1].seeds))
    errors = 0
    for prompts, seeds in zip(draw, noise, strict=True):
        errors += any(
            mean_interval((prompts[:, None] + seeds)[: look.prompts, : look.seeds].mean(axis=1), level).high
            < 0
            for look, level in zip(looks, levels, strict=True)
        )
    return errors / runs


@pytest.mark.parametrize("plan", [(64, 1, 64), (32, 1, 64), (16, 2, 64)])
@pytest.mark.parametrize("skewed", [False, True])
def test_the_error_holds_over_all_looks(plan: tuple[int, int, int], skewed: bool) -> None:
    """Prompts have skewness 0, or 1 on the side that Student's t gets wrong; 5 % may be wrong."""
    rng, runs = np.random.default_rng(4), 1500
    size = (runs, plan[0])
    draw = (rng.gamma(4, 1, size) - 4) / 2 if skewed else rng.normal(size=size)
    assert wrong(draw, sequential.plan(*plan), 0.5, runs) <= 0.05 + 0.006  # a standard error of 1,500 runs


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("alike", [0.001, 0.5])  # the correlation of a prompt's images
def test_shares_may_spend_the_whole_error(share: float, alike: float) -> None:
    rng, looks, rest = np.random.default_rng(5), sequential.plan(32, 1, 64), 1 / alike - 1
    levels = sequential.levels([look.images for look in looks], 0.05)
    low = high = 0
    for chances in rng.beta(share * rest, (1 - share) * rest, size=(400, 32)):
        hits = rng.random((32, 2)) < chances[:, None]
        found = [
            shares.interval(
                hits[: look.prompts, : look.seeds].ravel(),
                [str(i) for i in range(look.prompts) for _ in range(look.seeds)],
                confidence=1 - level,
                sides=1,
            )
            for look, level in zip(looks, levels, strict=True)
        ]
        low += any(one is not None and one.low > share for one in found)
        high += any(one is not None and one.high < share for one in found)
    assert max(low, high) / 400 <= 0.05 + 0.011  # a standard error of 400 runs
