"""Which prompt a row calls its worst."""

from __future__ import annotations

import pytest

from lora_checks import metrics
from lora_checks.records import ImageSet, Threshold
from lora_checks.row_fit import task

IMAGES = ImageSet("candidate", ())


@pytest.mark.parametrize(
    ("limits", "worst"),
    [
        ({"min": 0.5}, "lowest"),
        ({"max": 0.5}, "highest"),
        ({"min": 0.1, "max": 0.5}, ""),
        ({"stat": "share_at_most", "at": 0.7, "max": 0.2}, "lowest"),  # few copies: the nearest one is worst
        ({"stat": "share_at_most", "at": 0.7, "min": 0.9}, "highest"),
        ({"stat": "share_at_least", "at": 0.7, "max": 0.2}, "highest"),
        ({"stat": "share_at_least", "at": 0.7, "min": 0.9}, "lowest"),
    ],
)
def test_the_worst_prompt_is_the_one_that_the_limit_is_there_to_catch(
    limits: dict[str, object], worst: str
) -> None:
    row = Threshold("row", "arcface", "for this test", **limits)  # type: ignore[arg-type]
    assert task(row, metrics.get("arcface"), IMAGES, None, None).worst_is == worst
