"""Summarise the values of images as a mean, a share or the worst prompt, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import quantity
from lora_checks.core.records import Stat
from lora_checks.stats import intervals, shares, two_valued

Floats = NDArray[np.floating[Any]]
Bounds = tuple[float | None, float | None]
REDUCE: dict[Stat, Callable[[Floats], float]] = {
    "mean": lambda v: float(np.mean(v)),
    "min": lambda v: float(np.min(v)),
    "max": lambda v: float(np.max(v)),
    "median": lambda v: float(np.median(v)),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """How to summarise values, and how sure the interval has to be."""

    stat: Stat = "mean"
    at: float | None = None  # the limit of a share
    lowest: bool = True  # the worst prompt is the one with the lowest mean
    sides: Literal[1, 2] = 2
    confidence: float = (
        intervals.CONFIDENCE
    )  # of one interval; stricter if there are several interim analyses

    @property
    def tail(self) -> float:
        """Return the chance that an end of the interval is wrong."""
        return (1 - self.confidence) / self.sides


def of_images(
    ask: Ask,
    values: Floats,
    groups: Sequence[str],
    points: two_valued.Points | None = None,
    gain: bool = False,
) -> dict[str, Any]:
    """Summarise the values of images as fields of a Measurement.

    Args:
        ask: How to summarise them.
        values: (N,), without missing ones.
        groups: The prompt of each value, (N,).
        points: The only two values possible; for a gain, the two values whose difference each one is.
        gain: Whether the values are gains over the base.
    """
    worst = _worst(ask, values, groups)
    fields = {"worst": worst, "extremes": (float(values.min()), float(values.max()))}
    if ask.stat == "worst_prompt":
        return {"value": worst[1], **fields}
    if ask.at is not None:
        hits = np.array([quantity.counts(value, ask.stat, ask.at) for value in values.tolist()], dtype=bool)
        return {**of_hits(ask, hits, groups), **fields}
    value = REDUCE[ask.stat](values)
    if ask.stat != "mean":
        return {"value": value, "low": None, "high": None, **fields}
    low, high = of_mean(ask, values, groups, points, gain=gain)
    return {"value": value, "low": low, "high": high, "points": points, **fields}


def of_mean(
    ask: Ask,
    values: Floats,
    groups: Sequence[str],
    points: two_valued.Points | None,
    *,
    gain: bool,
    most: int = 1,
) -> Bounds:
    """Return the ends of a mean's interval: by the prompts' spread or, for two-valued images, exactly.

    Args:
        ask: How sure the interval has to be.
        values: (N,).
        groups: The prompt of each value, (N,).
        points: The only two values possible.
        gain: Whether the values are gains over the base.
        most: As in `two_valued.gain_interval`.
    """
    if points is None:
        return around(ask, lambda keep: float(values[keep].mean()), groups, float(values.mean()))
    sure, moves = (ask.confidence, ask.sides), np.asarray(values, np.float64)
    if gain:
        exact = two_valued.gain_interval(moves, points[1] - points[0], groups, *sure, most=most)
    else:
        exact = two_valued.interval(moves, points, groups, *sure)
    return (None, None) if exact is None else (exact.low, exact.high)


def of_hits(ask: Ask, hits: NDArray[np.bool_], groups: Sequence[str]) -> dict[str, Any]:
    """Summarise the share of images that are hits as fields of a Measurement."""
    interval = shares.interval(hits, groups, confidence=ask.confidence, sides=ask.sides)
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {"value": float(np.mean(hits)), "low": low, "high": high}


def around(
    ask: Ask, value_of: Callable[[NDArray[np.bool_]], float], groups: Sequence[str], value: float
) -> Bounds:
    """Return the ends of the jackknife's interval, moved from its bias-corrected estimate to the plain value.

    A Frechet distance of few images is far above that of many, and thresholds are set on the plain value at
    the policy's number of images. The interval says how far away another draw of prompts would be.
    """
    return shifted(intervals.jackknife(value_of, groups, confidence=ask.confidence, sides=ask.sides), value)


def shifted(interval: intervals.Interval | None, value: float) -> Bounds:
    """Return the ends of the interval, moved from its estimate to ``value``."""
    if interval is None:
        return None, None
    return interval.low - interval.estimate + value, interval.high - interval.estimate + value


def _worst(ask: Ask, values: Floats, groups: Sequence[str]) -> tuple[str, float]:
    of_prompt: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        of_prompt.setdefault(group, []).append(float(value))
    means = {group: float(np.mean(of_group)) for group, of_group in of_prompt.items()}
    name = (min if ask.lowest else max)(means, key=means.__getitem__)
    return name, means[name]
