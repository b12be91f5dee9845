"""Which way a row wants its value, by its limits, its stat and its metric."""

from __future__ import annotations

from typing import Any

import pytest

from lora_checks.core import direction
from lora_checks.record.ranking import values

LIMITS = {"min": (0.1, None), "max": (None, 0.1), "both": (0.1, 0.3), "none": (None, None)}


@pytest.mark.parametrize(
    ("limits", "stat", "better", "of_row", "of_images"),
    [
        ("min", "mean", "lower", "higher", "higher"),  # a distance to the training pictures
        ("max", "mean", "higher", "lower", "lower"),
        ("both", "mean", "lower", "lower", "lower"),
        ("none", "mean", "higher", "higher", "higher"),
        ("max", "missing", "higher", "lower", "lower"),
        ("both", "missing", "higher", "lower", "higher"),
        ("min", "share_at_least", "lower", "higher", "higher"),
        ("max", "share_at_most", "lower", "lower", "higher"),  # few copies: the nearest image is the worst
        ("min", "share_at_most", "higher", "higher", "lower"),
        ("both", "share_at_most", "higher", "lower", "higher"),
    ],
)
def test_a_limit_outranks_the_metric(
    limits: str, stat: Any, better: Any, of_row: str, of_images: str
) -> None:
    low, high = LIMITS[limits]
    assert (direction.by_limits(low, high) or direction.by_metric(stat, better)) == of_row
    assert direction.of_images(low, high, stat, better) == of_images


def test_a_value_that_moves_the_wanted_way_is_better() -> None:
    assert [direction.word(0.1, better) for better in ("higher", "lower")] == ["better", "worse"]
    assert [direction.worsening(0.1, better) for better in ("higher", "lower")] == [-0.1, 0.1]  # type: ignore[arg-type]


def test_half_of_the_prompts_have_the_worst_prompt_that_the_whole_would_have() -> None:
    """ "not a copy" has a minimum on a distance, so the nearest prompt is the worst."""
    row = {
        "threshold": {"min": 0.1, "max": None},
        "measurement": {
            "stat": "worst_prompt",
            "at": None,
            "better": "lower",
            "gain": False,
            "per_image": [["near/1", 0.2], ["far/1", 0.9], ["unasked/1", 0.1]],
        },
    }
    found = values.on(row, {"near", "far"})
    assert found is not None
    assert found.value == 0.2
