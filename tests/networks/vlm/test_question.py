"""What becomes of a reply's probabilities."""

from __future__ import annotations

import pytest

from lora_checks.core.errors import MeasureError
from lora_checks.core.records.questions import Question
from lora_checks.networks.vlm.question import filled, value

LIMBS = Question("limbs", "predicate", "Are the limbs sound?")
LIGHT = Question(
    "light", "choice", "Where is it?", ("indoors", "outdoors", "in space"), ("indoors", "in space")
)
SHARP = Question("sharp", "score", "How sharp is it?", ("blurred", "soft", "sharp"), ())


def test_a_predicate_is_worth_the_probability_of_its_good_answer() -> None:
    assert value(LIMBS, (0.7, 0.3)) == pytest.approx(0.7, abs=1e-15)
    melted = Question("melted", "predicate", "Is it melted?", good=("no",))
    assert value(melted, (0.7, 0.3)) == pytest.approx(0.3, abs=1e-15)


def test_a_choice_is_worth_the_probability_of_all_good_options() -> None:
    assert value(LIGHT, (0.5, 0.3, 0.2)) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [((1, 0, 0), 0), ((0, 0, 1), 1), ((0, 1, 0), 0.5), ((0.2, 0.2, 0.6), 0.7)],
)
def test_a_score_is_its_expected_level_between_0_and_1(
    probabilities: tuple[float, ...], expected: float
) -> None:
    assert value(SHARP, probabilities) == pytest.approx(expected)


def test_a_sum_that_misses_1_by_rounding_is_scaled() -> None:
    assert value(LIMBS, (0.6996, 0.2998)) == pytest.approx(0.6996 / 0.9994)


@pytest.mark.parametrize("probabilities", [(1.0,), (0.5, 0.2), (0.9, 0.3), (float("nan"), 0.5), (1.2, -0.2)])
def test_what_are_no_probabilities_is_refused(probabilities: tuple[float, ...]) -> None:
    with pytest.raises(MeasureError, match="'limbs'"):
        value(LIMBS, probabilities)


def test_only_the_named_words_are_filled_in() -> None:
    asked = Question("q", "predicate", 'Does it show "{prompt}", a {class_words}, in {braces}?')
    words = {"prompt": "a person in space", "class_words": "person"}
    assert filled(asked, words) == 'Does it show "a person in space", a person, in {braces}?'
