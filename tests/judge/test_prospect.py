"""What a LoRA must be to pass is said before a run, from the policy alone."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from world import MINIATURE

from lora_checks.judge import prospect
from lora_checks.policy.reading import load_policy
from lora_checks.stats import power, shares
from lora_checks.stats.intervals import mean_bounds

SHARES = [(32, 0.2), (64, 0.2), (32, 0.1), (25, 0.05), (200, 0.02)]


@pytest.mark.parametrize(("prompts", "limit"), SHARES)
def test_the_number_that_may_count_is_the_one_that_passes(prompts: int, limit: float) -> None:
    sentence = prospect.share_need(prompts, None, limit)
    bound = shares.clopper_pearson
    if not sentence:
        assert bound(0, prompts, 0.05)[1] > limit
        return
    most = int(re.search(r"at most (\d+) of", sentence)[1])  # type: ignore[index]
    assert bound(most, prompts, 0.05)[1] <= limit < bound(most + 1, prompts, 0.05)[1]


def test_a_true_share_passes_as_often_as_is_said() -> None:
    sentence = prospect.share_need(64, None, 0.2)
    often, nearly = re.search(r"share is ([0-9.]+) \(([0-9.]+)\)$", sentence).groups()  # type: ignore[union-attr]
    assert shares.binomial(0, 7, 64, float(often)) == pytest.approx(0.9, abs=0.01)
    assert shares.binomial(0, 7, 64, float(nearly)) == pytest.approx(0.99, abs=0.005)


def test_a_share_with_a_lower_limit_is_the_same_from_the_other_side() -> None:
    below, above = prospect.share_need(32, 0.8, None), prospect.share_need(32, None, 0.2)
    assert below.startswith("passes with at least 30 of 32 prompts")
    assert above.startswith("passes with at most 2 of 32 prompts")


@pytest.mark.simulation
@pytest.mark.parametrize("prompts", [12, 32, 100])
@pytest.mark.parametrize("chance", power.CHANCES)
def test_a_mean_as_far_inside_passes_as_often_as_is_said(prompts: int, chance: float) -> None:
    inside = power.inside_limit(prompts, 0.05, chance)
    values = np.random.default_rng(5).normal(inside, 1.0, (20_000, prompts))
    _, low, _ = mean_bounds(values, 0.05)
    assert (low >= 0).mean() == pytest.approx(chance, abs=0.02)


def test_rows_that_need_the_same_are_said_together() -> None:
    policy = load_policy(MINIATURE)
    means, counted = prospect.sentences(policy)
    assert means.startswith(
        "identity, identity-gain, prompt-adherence, not-a-copy, distribution: each passes"
    )
    assert counted.startswith("strangers, nothing-gained, face-found, ")
    (first,) = (row for row in policy.thresholds if row.name == "strangers")
    (alone,) = prospect.sentences(replace(policy, thresholds=(first,)))
    assert alone.startswith("strangers: passes with at most 2 of 32 prompts counted")


def test_a_row_judged_by_its_value_has_no_part() -> None:
    policy = load_policy(MINIATURE)
    rows = tuple(replace(row, rule="estimate") for row in policy.thresholds)
    assert prospect.sentences(replace(policy, thresholds=rows)) == []
