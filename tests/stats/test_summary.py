"""Summaries of the values of images, in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as reference

from lora_checks.stats.summary import Ask, of_hits, of_images

VALUES = np.array([0.2, 0.5, 0.5, 0.9, 0.7, 0.1, 0.5, 0.3, 0.4])
PROMPTS = [f"p{i}" for i in range(9)]


@pytest.mark.parametrize(("stat", "share"), [("share_at_least", 5 / 9), ("share_at_most", 7 / 9)])
def test_a_value_equal_to_the_one_that_images_are_counted_by_counts(stat: str, share: float) -> None:
    assert of_images(Ask(stat, 0.5), VALUES, PROMPTS)["value"] == pytest.approx(share)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sides", "confidence", "tail"), [(2, 0.95, 0.025), (1, 0.95, 0.05), (1, 0.99, 0.01)]
)
def test_a_shares_ends_are_as_sure_as_the_row_asks(sides: int, confidence: float, tail: float) -> None:
    found = of_hits(Ask("missing", sides=sides, confidence=confidence), np.arange(9) < 3, PROMPTS)  # type: ignore[arg-type]
    assert found["low"] == pytest.approx(reference.beta.ppf(tail, 3, 7))
    assert found["high"] == pytest.approx(reference.beta.ppf(1 - tail, 4, 6))


@pytest.mark.parametrize(("stat", "value"), [("min", 0.1), ("max", 0.9), ("median", 0.5)])
def test_an_order_statistic_has_no_interval(stat: str, value: float) -> None:
    found = of_images(Ask(stat), VALUES, PROMPTS)  # type: ignore[arg-type]
    assert (found["value"], found["low"], found["high"]) == (pytest.approx(value), None, None)
