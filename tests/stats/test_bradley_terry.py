"""Bradley-Terry against choix, against closed forms, and in simulations with known strengths."""

from __future__ import annotations

import numpy as np
import pytest

from lora_checks.stats.bradley_terry import (
    Comparison,
    bootstrap,
    bounds,
    expanded_tail,
    fit,
    groups,
    preferences,
    wins,
)

ITEMS = ("a", "b", "c", "d")


def drawn(
    rng: np.random.Generator,
    strengths: np.ndarray,
    prompts: int,
    each: int = 2,
    moods: float = 0.0,
    ties: float = 0.0,
) -> list[Comparison]:
    """Every pair ``each`` times per prompt, which moves the strengths by a normal ``moods`` of its own."""
    found = []
    for k in range(prompts):
        own = strengths + rng.normal(0, moods, len(strengths)) if moods else strengths
        for i in range(len(own)):
            for j in range(i):
                for _ in range(each):
                    score = float(rng.random() < 1 / (1 + np.exp(own[j] - own[i])))
                    score = 0.5 if rng.random() < ties else score
                    found.append(Comparison(ITEMS[i], ITEMS[j], score, f"p{k}"))
    return found


def test_it_is_choix() -> None:
    choix = pytest.importorskip("choix", reason="choix is not installed")
    rng = np.random.default_rng(0)
    comparisons = drawn(rng, np.array([0.9, 0.2, -0.3, -0.8]), 12)
    pairs = [
        (ITEMS.index(one.first), ITEMS.index(one.second))[:: 1 if one.score else -1] for one in comparisons
    ]
    won = wins(comparisons, ITEMS).sum(axis=0)
    plain = choix.ilsr_pairwise(4, pairs, alpha=0.0, max_iter=1000, tol=1e-10)
    assert fit(won, prior=1e6) == pytest.approx(plain - plain.mean(), abs=1e-6)
    # choix's alpha multiplies the sum of squares, so it is 1 / (2 sd^2)
    ridge = choix.opt_pairwise(4, pairs, alpha=1 / (2 * 0.7**2), method="BFGS", tol=1e-9)
    assert fit(won, prior=0.7) == pytest.approx(ridge - ridge.mean(), abs=1e-5)


def test_two_items_have_the_odds_of_their_wins() -> None:
    won = np.array([[0.0, 30.0], [10.0, 0.0]])
    s = fit(won, prior=1e6)
    assert s[0] - s[1] == pytest.approx(np.log(3))


def test_a_tie_is_half_a_win_for_each() -> None:
    with_ties = [Comparison("a", "b", 0.5, "p")] * 2 + [Comparison("a", "b", 1.0, "p")] * 2
    without = [Comparison("a", "b", 1.0, "p")] * 3 + [Comparison("b", "a", 1.0, "p")]
    a, b = preferences(with_ties), preferences(without)
    assert [(one.item, one.strength) for one in a] == [(one.item, one.strength) for one in b]
    assert a[0].compared == 4


def test_sides_and_order_change_nothing() -> None:
    comparisons = drawn(np.random.default_rng(1), np.array([0.5, 0.0, -0.5, 0.2]), 9, ties=0.2)
    turned = [Comparison(one.second, one.first, 1 - one.score, one.prompt) for one in comparisons[::-1]]
    for one, other in zip(preferences(comparisons), preferences(turned), strict=True):
        assert one.item == other.item
        assert one.strength == pytest.approx(other.strength, abs=1e-9)
        assert one.low == pytest.approx(other.low, abs=1e-9)


def test_an_item_that_always_wins_has_a_finite_strength() -> None:
    comparisons = [Comparison("a", other, 1.0, f"p{k}") for k in range(10) for other in ("b", "c")]
    first = preferences(comparisons)[0]
    assert first.item == "a"
    assert 2 < first.strength < 5
    assert set(first.surely_above) == {"b", "c"}
    assert first.share > 0.95


def test_with_few_prompts_there_is_no_interval() -> None:
    few = drawn(np.random.default_rng(2), np.zeros(4), 7)
    assert {one.low for one in preferences(few)} == {None}
    assert {one.surely_above for one in preferences(few)} == {()}


def test_items_that_were_never_compared_have_no_order() -> None:
    parted = [Comparison("a", "b", 1.0, "p"), Comparison("d", "c", 1.0, "p")]
    assert groups(parted) == [["a", "b"], ["c", "d"]]
    with pytest.raises(ValueError, match=r"never compared with each other: \[a, b\] and \[c, d\]"):
        preferences(parted)
    with pytest.raises(ValueError, match="nothing was compared"):
        preferences([])


@pytest.mark.parametrize("wrong", [Comparison("a", "a", 1.0, "p"), Comparison("a", "b", 1.5, "p")])
def test_what_is_no_comparison_is_refused(wrong: Comparison) -> None:
    with pytest.raises(ValueError, match="not a comparison"):
        wins([wrong], ("a", "b"))


def test_the_tail_is_the_bootstraps_with_many_prompts() -> None:
    assert expanded_tail(10_000, 0.025) == pytest.approx(0.025, abs=1e-4)
    assert expanded_tail(8, 0.025) == pytest.approx(0.0057, abs=2e-4)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("prompts", "moods", "held"), [(8, 0.0, 0.955), (16, 0.0, 0.95), (16, 0.7, 0.95), (32, 0.7, 0.95)]
)
def test_the_intervals_hold_the_truth(prompts: int, moods: float, held: float) -> None:
    """200 simulations of two raters with known strengths; the nominal coverage is 95 %."""
    rng = np.random.default_rng(3)
    strengths = np.array([1.2, 0.4, -0.4, -1.2])
    truth = fit(wins(drawn(rng, strengths, 4000, moods=moods), ITEMS).sum(axis=0))
    inside, alone, ordered = [], [], 0
    for _ in range(200):
        by_prompt = wins(drawn(rng, strengths, prompts, moods=moods), ITEMS)
        whole, tail = fit(by_prompt.sum(axis=0)), expanded_tail(prompts, 0.025)
        samples = bootstrap(by_prompt, 500)
        for low, high, held_in in (
            (*bounds(samples, whole, tail), inside),
            (*np.quantile(samples, [tail, 1 - tail], axis=0), alone),
        ):
            held_in.append((low <= truth) & (truth <= high))
        ordered += np.argsort(-whole).tolist() == [0, 1, 2, 3]
    coverage = np.mean(inside, axis=0)
    assert coverage.min() >= 0.93
    assert coverage.mean() == pytest.approx(held, abs=0.02)
    ends = [0, 3]  # the percentiles alone lie too far out there
    assert np.mean(alone, axis=0)[ends].mean() < coverage[ends].mean()
    assert ordered >= 170  # of 200: the known order comes back
