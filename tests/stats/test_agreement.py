"""Krippendorff's alpha against published values, and correlations against scipy."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from lora_checks.stats.agreement import alpha_of_pairs, auc, krippendorff_alpha, ranks, spearman

NAN = math.nan
# The example of "Computing Krippendorff's Alpha-Reliability" (2011): four observers, twelve units.
OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)


@pytest.mark.parametrize(("level", "published"), [("nominal", 0.743), ("interval", 0.849)])
def test_alpha_is_the_published_one(level: Literal["nominal", "interval"], published: float) -> None:
    assert krippendorff_alpha(OBSERVERS, level) == pytest.approx(published, abs=5e-4)


def test_alpha_of_perfect_and_of_no_agreement() -> None:
    rng = np.random.default_rng(0)
    same = np.tile(rng.integers(-1, 2, 50).astype(float), (3, 1))
    assert alpha_of_pairs(same) == pytest.approx(1)
    chance = rng.choice([-1.0, 1.0], (2, 4000))
    assert abs(alpha_of_pairs(chance)) < 0.05
    assert alpha_of_pairs(np.array([[1.0, -1.0], [-1.0, 1.0]])) < 0


def test_raters_who_always_prefer_one_lora_agree() -> None:
    """Without turning pairs around no other answer would be expected, and alpha would be undefined."""
    always = np.ones((2, 20))
    assert math.isnan(krippendorff_alpha(always, "interval"))
    assert alpha_of_pairs(always) == pytest.approx(1)
    mostly = always.copy()
    mostly[0, 0] = -1
    assert krippendorff_alpha(mostly, "interval") == pytest.approx(0)
    assert alpha_of_pairs(mostly) == pytest.approx(0.9, abs=0.01)


def test_which_picture_is_first_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    answers = rng.choice([-1.0, 0.0, 1.0], (2, 30))
    differences = answers[0] + rng.normal(0, 1, 30)
    sides = rng.choice([-1.0, 1.0], 30)
    assert alpha_of_pairs(answers * sides) == pytest.approx(alpha_of_pairs(answers))
    for of in (spearman, auc):
        assert of(differences * sides, answers[0] * sides) == pytest.approx(of(differences, answers[0]))


def test_units_of_one_rater_do_not_count() -> None:
    alone = np.array([[1.0, 2.0, NAN], [1.0, NAN, 2.0]])
    assert math.isnan(krippendorff_alpha(alone, "nominal"))
    assert math.isnan(krippendorff_alpha(np.array([[1.0, NAN]]), "nominal"))


def test_ranks_and_spearman_are_scipys() -> None:
    rng = np.random.default_rng(2)
    differences, answers = rng.normal(size=40).round(1), rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], 40)
    assert ranks(differences).tolist() == stats.rankdata(differences).tolist()
    both = [np.concatenate([one, -one]) for one in (differences, answers)]
    assert spearman(differences, answers) == pytest.approx(stats.spearmanr(*both).statistic)
    assert math.isnan(spearman(differences, np.zeros(40)))


def test_auc_is_that_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(3)
    answers = rng.choice([-1.0, 0.0, 1.0], 60)
    differences = (answers + rng.normal(0, 1.5, 60)).round(1)
    turned, labels = np.concatenate([differences, -differences]), np.concatenate([answers, -answers])
    u = stats.mannwhitneyu(turned[labels > 0], turned[labels < 0]).statistic
    n = int((labels > 0).sum())
    assert auc(differences, answers) == pytest.approx(u / n**2)
    assert auc(np.abs(differences) * np.sign(answers), answers) == pytest.approx(1, abs=0.02)
    assert math.isnan(auc(differences, np.zeros(60)))
