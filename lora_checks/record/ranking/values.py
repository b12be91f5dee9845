"""Compute a row's value on some of the prompts, and each prompt's part in it, from its images' values."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from lora_checks.core import direction
from lora_checks.core.quantity import STATS_WITH_INTERVAL, counts, prompt_of
from lora_checks.core.records import Better
from lora_checks.record.shapes import Row
from lora_checks.record.shapes.rows import Direction, Measurement
from lora_checks.stats import summary


class Value(NamedTuple):
    """A row's value with its interval, and the number of prompts behind it."""

    value: float
    low: float | None
    high: float | None
    prompts: int


def whole(row: Row | None) -> Value | None:
    """Return the value as it was measured; None for a row without a value."""
    m = row["measurement"] if row else None
    if m is None or m["value"] is None:
        return None
    return Value(m["value"], m["low"], m["high"], m["prompts"])


def by_image(row: Row | None) -> Measurement | None:
    """Return the row's measurement if it has a value for each image.

    A set has only one value, which cannot be computed for half of the set.
    """
    m = row["measurement"] if row else None
    return m if m is not None and m["per_image"] else None


def on(row: Row | None, prompts: Collection[str]) -> Value | None:
    """Return the row's statistic over the images of ``prompts`` alone, computed as `measure` does it.

    None if none of these images has a value.
    """
    m = by_image(row)
    if row is None or m is None:
        return None
    images = [(prompt_of(name), value) for name, value in m["per_image"] if prompt_of(name) in prompts]
    valued = [(prompt, value) for prompt, value in images if value is not None]
    ask = summary.Ask(m["stat"], m["at"], lowest=_wanted_of_images(row, m) == "higher")
    if m["stat"] == "missing" and images:
        hits = np.array([value is None for _, value in images])
        summed = summary.of_hits(ask, hits, [prompt for prompt, _ in images])
    elif valued:
        groups, values = zip(*valued, strict=True)
        points = m.get("points")
        two = None if points is None else (points[0], points[1])
        summed = summary.of_images(ask, np.array(values, dtype=np.float64), groups, two, m["gain"])
    else:
        return None
    return Value(
        summed["value"], summed.get("low"), summed.get("high"), len({prompt for prompt, _ in images})
    )


def by_prompt(row: Row | None) -> dict[str, float]:
    """Return each prompt's part in the row's value, which is the mean of the parts.

    The parts of a set are the jackknife's pseudo-values. A row whose value is not a mean has no parts.
    """
    m = row["measurement"] if row else None
    if m is None or m["stat"] not in STATS_WITH_INTERVAL:
        return {}
    if not m["per_image"]:
        return dict(m["by_prompt"])
    parts: dict[str, list[float]] = {}
    for name, value in m["per_image"]:
        one = part(m, value)
        if one is not None:
            parts.setdefault(prompt_of(name), []).append(one)
    return {prompt: float(np.mean(values)) for prompt, values in parts.items()}


def part(m: Measurement, value: float | None) -> float | None:
    """Return what an image adds to the row's value, of which the value is the mean; None without a value."""
    if m["stat"] == "missing":
        return float(value is None)
    if value is None or m["at"] is None:
        return value
    return float(counts(value, m["stat"], m["at"]))


def better(row: Row) -> Direction:
    """Return which way the row wants its value, "higher" or "lower"; "" where it has two limits."""
    low, high = limits_of(row)
    if low is not None and high is not None:
        return ""
    return direction.by_limits(low, high) or row["direction"]


def limits_of(row: Row) -> tuple[float | None, float | None]:
    """Return the lower and the upper limit of a row."""
    threshold = row["threshold"]
    return (threshold["min"], threshold["max"]) if threshold else (None, None)


def _wanted_of_images(row: Row, m: Measurement) -> Better:
    """Return which way the row wants the values of images, as `judge.task` does."""
    return direction.of_images(*limits_of(row), m["stat"], m["better"])
