"""Intervals of shares against scipy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special
from scipy import stats as reference

from lora_checks.stats import shares


def prompts(k: int, seeds: int = 1) -> list[str]:
    return [f"p{i}" for i in range(k) for _ in range(seeds)]


def hits(*of_prompt: int, seeds: int) -> NDArray[np.bool_]:
    return np.concatenate([np.arange(seeds) < found for found in of_prompt])


def test_the_incomplete_beta_function_is_scipys() -> None:
    rng = np.random.default_rng(1)
    for a, b, x in zip(*rng.uniform(0.3, 300, (2, 300)), rng.random(300), strict=True):
        assert shares.beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), abs=1e-11)


def test_the_incomplete_beta_function_ends_at_0_and_1() -> None:
    assert [shares.beta_cdf(x, 0.5, 3) for x in (-1, 0, 1, 2)] == [0, 0, 1, 1]


@pytest.mark.parametrize("found", [0, 1, 3, 8, 15, 16])
def test_one_image_a_prompt_is_clopper_and_pearsons_interval(found: int) -> None:
    got = shares.interval(np.arange(16) < found, prompts(16))
    expected = reference.binomtest(found, 16).proportion_ci(method="exact")
    assert got == pytest.approx((found / 16, expected.low, expected.high), abs=1e-9)


def test_one_sided_bounds_are_the_ends_of_the_90_percent_interval() -> None:
    one = shares.interval(np.arange(16) < 5, prompts(16), sides=1)
    assert one == shares.interval(np.arange(16) < 5, prompts(16), confidence=0.90)


def test_images_that_all_agree_count_once_a_prompt_and_are_no_point() -> None:
    assert shares.interval(np.ones(64, bool), prompts(16, 4)) == shares.interval(
        np.ones(16, bool), prompts(16)
    )
    found = shares.interval(np.ones(64, bool), prompts(16, 4))
    assert found is not None
    assert found == shares.interval(np.ones(16, bool), prompts(16))
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / 16)), 1.0)


def test_prompts_that_agree_within_themselves_are_single_observations() -> None:
    whole = shares.interval(hits(*[4] * 8 + [0] * 8, seeds=4), prompts(16, 4))
    spread = shares.interval(hits(*[2, 1, 3, 2] * 4, seeds=4), prompts(16, 4))
    single = shares.interval(np.arange(16) < 8, prompts(16))
    assert whole is not None
    assert spread is not None
    assert single is not None
    assert whole.high - whole.low == pytest.approx(single.high - single.low, rel=1e-9)
    assert spread.high - spread.low < 0.6 * (whole.high - whole.low)


def test_two_prompts_that_differ_are_too_few_to_tell_how_images_hang_together() -> None:
    found = shares.interval(hits(*[1, 1] + [0] * 14, seeds=4), prompts(16, 4))
    share = 2 / 64
    assert found == pytest.approx((share, *shares.clopper_pearson(16 * share, 16, 0.025)))


def korn_graubard(hits: NDArray[np.bool_], groups: list[str], level: float) -> tuple[float, float]:
    """Write out Korn & Graubard's interval: the variance by leaving out each prompt, quantiles by scipy."""
    names = np.array(groups)
    k, n, share = len(set(groups)), len(hits), hits.mean()
    without = np.array([hits[names != name].mean() for name in sorted(set(groups))])
    variance = (k - 1) ** 2 / k * without.var(ddof=1)
    freedom = reference.t.ppf(1 - level, n - 1) / reference.t.ppf(1 - level, k - 1)
    worth = max(k, min(share * (1 - share) / variance, n) * freedom**2)
    found = share * worth
    low = reference.beta.ppf(level, found, worth - found + 1)
    return low, reference.beta.ppf(1 - level, found + 1, worth - found)


@pytest.mark.parametrize("sides", [1, 2])
@pytest.mark.parametrize(
    "of_prompt",
    [
        [1, 1, 1] + [0] * 13,  # three prompts are enough to tell
        [4, 4, 3, 3] + [1] * 8 + [0] * 4,
        [4, 3, 3, 1, 2, 2, 0, 4, 1, 3],
        [4, 4, 4, 3, 3, 4, 2, 4],
        [2] * 7 + [3],
    ],
)
def test_several_images_a_prompt_have_korn_and_graubards_interval(of_prompt: list[int], sides: int) -> None:
    """This holds too where a prompt has fewer images, and in reverse for the other kind of image."""
    k = len(of_prompt)
    there = np.arange(4 * k) != 2
    found, groups = hits(*of_prompt, seeds=4)[there], list(np.array(prompts(k, 4))[there])
    got = shares.interval(found, groups, sides=sides)
    assert got is not None
    assert got == pytest.approx((found.mean(), *korn_graubard(found, groups, 0.05 / sides)), rel=1e-8)
    other = shares.interval(~found, groups, sides=sides)
    assert other == pytest.approx((1 - got.estimate, 1 - got.high, 1 - got.low), rel=1e-8)


def test_prompts_that_are_all_alike_and_mixed_are_worth_all_their_images() -> None:
    found = shares.interval(hits(*[2] * 16, seeds=4), prompts(16, 4))
    freedom = (reference.t.ppf(0.975, 63) / reference.t.ppf(0.975, 15)) ** 2
    assert found == pytest.approx((0.5, *shares.clopper_pearson(32 * freedom, 64 * freedom, 0.025)))


def test_fewer_than_eight_prompts_have_no_interval() -> None:
    assert shares.interval(np.ones(28, bool), prompts(7, 4)) is None
    assert shares.interval(np.ones(32, bool), prompts(8, 4)) is not None


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("alike", [0.2, 0.8])  # correlation of the images of a prompt
def test_one_sided_bounds_err_at_most_as_often_as_they_say(share: float, alike: float) -> None:
    rng, low, high = np.random.default_rng(2), 0, 0
    rest = 1 / alike - 1
    for chances in rng.beta(share * rest, (1 - share) * rest, size=(1500, 16)):
        drawn = rng.random((16, 4)) < chances[:, None]
        found = shares.interval(drawn.ravel(), prompts(16, 4), sides=1)
        assert found is not None
        low, high = low + (found.low > share), high + (found.high < share)
    assert low / 1500 <= 0.05
    assert high / 1500 <= 0.05
