"""The values of images -> what they amount to: a mean, a share, the worst prompt, and its interval."""

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
    """How values are summed up, and how sure the interval is."""

    stat: Stat = "mean"
    at: float | None = None  # of a share
    lowest: bool = True  # the worst prompt is the one with the lowest mean
    sides: Literal[1, 2] = 2
    confidence: float = intervals.CONFIDENCE  # of the interval's level; stricter at a look among several

    @property
    def tail(self) -> float:
        """The chance that an end of the interval is wrong."""
        return (1 - self.confidence) / self.sides


def of_images(
    ask: Ask,
    values: Floats,
    groups: Sequence[str],
    points: two_valued.Points | None = None,
    gain: bool = False,
) -> dict[str, Any]:
    """``values`` (N,) without missing ones, ``groups`` (N,) their prompts -> fields of a Measurement.

    ``points`` are the two numbers that each value is one of or, of a ``gain``, a difference of.
    """
    worst = _worst(ask, values, groups)
    found = {"worst": worst, "extremes": (float(values.min()), float(values.max()))}
    if ask.stat == "worst_prompt":
        return {"value": worst[1], **found}
    if ask.at is not None:
        hits = np.array([quantity.counts(value, ask.stat, ask.at) for value in values.tolist()], dtype=bool)
        return {**of_hits(ask, hits, groups), **found}
    value = REDUCE[ask.stat](values)
    if ask.stat != "mean":
        return {"value": value, "low": None, "high": None, **found}
    low, high = of_mean(ask, values, groups, points, gain=gain)
    return {"value": value, "low": low, "high": high, "points": points, **found}


def of_mean(
    ask: Ask,
    values: Floats,
    groups: Sequence[str],
    points: two_valued.Points | None,
    *,
    gain: bool,
    most: int = 1,
) -> Bounds:
    """The interval of a mean: by the prompts' spread or, where the values are two numbers, the exact one.

    ``most`` is as in `two_valued.gain_interval`.
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
    """The share of images that are hits, and its interval."""
    found = shares.interval(hits, groups, confidence=ask.confidence, sides=ask.sides)
    low, high = (found.low, found.high) if found else (None, None)
    return {"value": float(np.mean(hits)), "low": low, "high": high}


def around(
    ask: Ask, value_of: Callable[[NDArray[np.bool_]], float], groups: Sequence[str], value: float
) -> Bounds:
    """The interval around the plain value, not the bias-corrected one.

    A Frechet distance of few images is far above that of many, and thresholds are set on the plain value
    at the policy's own number of images; what the interval tells is how far another draw would lie.
    """
    return shifted(intervals.jackknife(value_of, groups, confidence=ask.confidence, sides=ask.sides), value)


def shifted(found: intervals.Interval | None, value: float) -> Bounds:
    """The interval's ends where it stands around ``value`` instead."""
    if found is None:
        return None, None
    return found.low - found.estimate + value, found.high - found.estimate + value


def _worst(ask: Ask, values: Floats, groups: Sequence[str]) -> tuple[str, float]:
    of_prompt: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        of_prompt.setdefault(group, []).append(float(value))
    means = {group: float(np.mean(found)) for group, found in of_prompt.items()}
    name = (min if ask.lowest else max)(means, key=means.__getitem__)
    return name, means[name]
