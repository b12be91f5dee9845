"""The words for what was measured, in a sentence and in a table."""

from __future__ import annotations

from typing import Any

import pytest

from lora_checks.core import quantity
from lora_checks.core.quantity import label, missing_word


def sentence(*what: Any) -> str:
    return quantity.sentence(*what, of_set=False)


@pytest.mark.parametrize(
    ("what", "said", "cell"),
    [
        (("arcface", "mean", None, False, ""), "mean arcface", "arcface"),
        (("arcface", "mean", None, True, ""), "mean gain in arcface", "arcface gain"),
        (("arcface", "mean", None, False, "dark"), "mean arcface on dark", "arcface on dark"),
        (("arcface", "max", None, False, ""), "max arcface", "max arcface"),
        (("arcface", "worst_prompt", None, False, ""), "worst prompt's arcface", "worst prompt arcface"),
        (
            ("lpips", "share_at_least", 0.3, False, ""),
            "share of images with lpips at least 0.300",
            "share lpips >= 0.300",
        ),
        (
            ("lpips", "share_at_most", 0.3, True, "dark"),
            "share of images with gain in lpips at most 0.300 on dark",
            "share lpips gain <= 0.300 on dark",
        ),
        (("arcface", "missing", None, False, ""), "share of images with no face", "missing arcface"),
    ],
)
def test_what_was_measured_is_said(what: Any, said: str, cell: str) -> None:
    assert (sentence(*what), label(*what)) == (said, cell)


def test_a_value_of_the_set_is_no_mean_and_its_missing_word_is_of_the_metric() -> None:
    assert quantity.sentence("fid", "mean", None, False, "", of_set=True) == "fid"
    assert quantity.sentence("fid", "max", None, False, "", of_set=True) == "max fid"
    assert (missing_word("arcface"), missing_word("faces"), missing_word("clip_score")) == (
        "no face",
        "no face",
        "no value",
    )


def test_what_is_counted_has_an_interval_and_an_order_statistic_has_none() -> None:
    """The jackknife does not hold for the smallest, the largest, the middle and the worst."""
    assert {"mean", "missing", "share_at_least", "share_at_most"} == quantity.STATS_WITH_INTERVAL
    assert {"missing", "share_at_least", "share_at_most"} == quantity.COUNTED
