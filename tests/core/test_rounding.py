"""Equal but for rounding, and float32 as the decimal number that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from lora_checks.core.rounding import at_least, at_most, shortest

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "limit", "least", "most"),
    [
        (0.7, 0.7, True, True),
        (0.1 + 0.2, 0.3, True, True),  # a little above
        (0.9 - 0.2, 0.7, True, True),  # a little below
        (sum([0.1] * 10), 1, True, True),
        (1e-17, 0, True, True),
        (-1e-17, 0, True, True),
        (0.7 - 1e-7, 0.7, False, True),  # what a float32 is worth is not rounding
        (0.7 + 1e-7, 0.7, True, False),
        (-1e-7, 0, False, True),
        (1e9 + 1, 1e9, True, True),
        (1e9 + 2, 1e9, True, False),
        (NAN, 0, False, False),
        (0, NAN, False, False),
        (float("inf"), 1, True, False),
    ],
)
def test_a_value_that_equals_its_limit_but_for_rounding_is_inside(
    value: float, limit: float, least: bool, most: bool
) -> None:
    assert (at_least(value, limit), at_most(value, limit)) == (least, most)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_a_narrow_number_is_the_shortest_decimal_one(kind: type[np.floating]) -> None:
    """As numpy prints it."""
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=500), np.exp(rng.normal(0, 3, 500)), np.arange(500) / 100])
    narrow = values.astype(kind)
    assert shortest(narrow).tolist() == [float(str(value)) for value in narrow]
    assert (shortest(narrow).astype(kind) == narrow).all()


def test_what_has_no_decimals_stays() -> None:
    values = np.array([[np.nan, np.inf], [-np.inf, 0.0]], np.float32)
    np.testing.assert_array_equal(shortest(values), values)
    wide = np.array([0.1 + 0.2])
    assert shortest(wide)[0] == wide[0]
    assert shortest(np.empty((0, 3), np.float32)).shape == (0, 3)
