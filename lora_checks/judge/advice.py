"""Advise how many more prompts or seeds would probably decide a row whose interval straddles a limit."""

from __future__ import annotations

import numpy as np

from lora_checks.core import quantity
from lora_checks.core.records import Measurement
from lora_checks.stats import intervals, power, shares, two_valued


def more(m: Measurement, low: float, high: float, limit: float) -> tuple[int | None, int | None]:
    """Return how many more prompts, and how many more seeds, would probably decide the row.

    None for prompts or seeds that would not decide it.

    Args:
        m: The measurement.
        low: The lower end of its interval.
        high: The upper end of its interval.
        limit: The limit inside the interval.
    """
    tail = (1 - m.confidence) / m.sides
    if m.stat in quantity.COUNTED or m.points is not None:
        return _for_share(m, limit, tail), None
    prompts = intervals.more_prompts(low, high, m.prompts, limit, tail=tail)
    seeds = intervals.more_seeds(list(_by_prompt(m).values()), limit, tail=tail) if m.stat == "mean" else None
    return prompts, seeds


def prompts_with_value(m: Measurement) -> int:
    """Return the number of prompts with a value: all of them, if the value is of the whole set."""
    return len(_by_prompt(m)) if m.per_image else m.prompts


def _for_share(m: Measurement, limit: float, tail: float) -> int | None:
    images = [(name, value) for name, value in m.per_image if value is not None or m.stat == "missing"]
    low, high = m.points or (0.0, 1.0)
    if not images:
        return shares.more_prompts(m.value, m.prompts, limit, tail=tail)
    groups = [quantity.prompt_of(name) for name, _ in images]
    if m.gain and m.points is not None:
        moves = np.array([value for _, value in images], dtype=np.float64)
        step = high - low
        return two_valued.more_prompts_for_gain(moves, len(set(groups)), limit / step, tail=tail)
    hits = np.array([power.is_hit(m, value) for _, value in images])
    prompts, wanted = len(set(groups)), (limit - low) / (high - low)
    of_a_prompt = shares.worth(hits, groups, tail) / prompts
    return shares.more_prompts(float(hits.mean()), prompts, wanted, of_a_prompt=of_a_prompt, tail=tail)


def _by_prompt(m: Measurement) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}
    for name, value in m.per_image:
        if value is not None:
            values.setdefault(quantity.prompt_of(name), []).append(value)
    return values
