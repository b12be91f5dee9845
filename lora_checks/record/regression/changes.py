"""Compute the difference between two measurements of one row, prompt by prompt.

Both runs use the same prompts and seeds, and so the same noise. The effect of a prompt is in both values and
cancels out, so the difference is known far better than either value. Prompts are the sampling unit, as
everywhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lora_checks.core import quantity
from lora_checks.core.direction import by_metric, worsening
from lora_checks.core.records import Better, Measurement
from lora_checks.stats import intervals, summary, two_valued

Kind = Literal["images", "set", "value"]
Sides = Literal[1, 2]
Floats = NDArray[np.float64]
Prompts = tuple[tuple[str, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one row. ``difference`` is ``value - before``, in the row's unit."""

    label: str  # "arcface", "missing arcface", "clip_score gain on glasses"
    better: Better
    kind: Kind
    before: float  # over the pairs, where kind is "images"
    value: float
    difference: float
    low: float | None  # of the difference
    high: float | None
    sides: Sides
    pairs: int  # images with a value in both
    confidence: float = intervals.CONFIDENCE
    lost: int = 0  # images with a value before, but not now
    found: int = 0  # images with a value now, but not before
    absent: int = 0  # images that only one of the two runs made
    prompts: Prompts = ()  # prompt, before, now, difference; worst first
    per_image: tuple[tuple[str, float], ...] = ()  # differences of the pairs

    @property
    def worsening(self) -> float:
        """How much worse the row became; negative if it became better."""
        return worsening(self.difference, self.better)


def change(
    before: Measurement,
    now: Measurement,
    *,
    better: Better | None = None,
    sides: Sides = 2,
    same: bool = False,
) -> Change | None:
    """Return the difference between two measurements of one row; None if no image has a value in both.

    Args:
        before: the earlier measurement.
        now: the later one.
        better: which way the row wants its value; by default as its metric does.
        sides: of the interval, as in `Measurement.sides`.
        same: both are of the same LoRA; a share that did not move then moves on no other prompts either.
    """
    better = better or by_metric(now.stat, now.better)
    label = quantity.label(now.metric, now.stat, now.at, now.gain, now.on)
    if not now.per_image:
        return _of_sets(before, now, label, better, sides)
    pairs = paired(before, now)
    if not pairs.names:
        return None
    frame = Frame(label, better, sides, pairs)
    if now.stat in quantity.STATS_WITH_INTERVAL:
        return _of_pairs(now, frame, same)
    return frame.change("value", before.value, now.value, (None, None))


@dataclass(frozen=True, slots=True)
class Pairs:
    """The images with a value in both runs, in the order of the later run."""

    names: tuple[str, ...]
    before: Floats
    now: Floats
    lost: int
    found: int
    absent: int

    @property
    def groups(self) -> list[str]:
        """The prompt of each image."""
        return [quantity.prompt_of(name) for name in self.names]


def paired(before: Measurement, now: Measurement) -> Pairs:
    """Pair the images by name, "prompt/seed"; an image without a value is counted, but in no pair."""
    return _paired(_values(before, now), _values(now, now))


def _values(m: Measurement, row: Measurement) -> dict[str, float | None]:
    """Return each image's value; for a share, 1 if ``row`` counts the image and 0 if not."""
    if row.stat == "missing":
        return {name: float(value is None) for name, value in m.per_image}
    if row.stat not in quantity.SHARES or row.at is None:
        return dict(m.per_image)
    at = row.at
    return {name: None if x is None else float(quantity.counts(x, row.stat, at)) for name, x in m.per_image}


def _paired(before: Mapping[str, float | None], now: Mapping[str, float | None]) -> Pairs:
    both = [name for name in now if name in before]
    pairs = [(name, before[name], now[name]) for name in both]
    whole = [(name, x, y) for name, x, y in pairs if x is not None and y is not None]
    return Pairs(
        tuple(name for name, _, _ in whole),
        np.array([x for _, x, _ in whole], dtype=np.float64),
        np.array([y for _, _, y in whole], dtype=np.float64),
        lost=sum(y is None and x is not None for _, x, y in pairs),
        found=sum(x is None and y is not None for _, x, y in pairs),
        absent=len(before) + len(now) - 2 * len(both),
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """The parts of a change that are known before its numbers."""

    label: str
    better: Better
    sides: Sides
    pairs: Pairs

    def change(self, kind: Kind, before: float, now: float, bounds: summary.Bounds) -> Change:
        """Return the change with its numbers."""
        x, y = self.pairs.before, self.pairs.now
        return Change(
            self.label,
            self.better,
            kind,
            before,
            now,
            now - before,
            *bounds,
            self.sides,
            len(self.pairs.names),
            lost=self.pairs.lost,
            found=self.pairs.found,
            absent=self.pairs.absent,
            prompts=worst_first(_means(self.pairs.groups, x), _means(self.pairs.groups, y), self.better),
            per_image=tuple(zip(self.pairs.names, (y - x).tolist(), strict=True)),
        )


def _of_pairs(now: Measurement, frame: Frame, same: bool) -> Change:
    pairs = frame.pairs
    moved = pairs.now - pairs.before
    bounds: summary.Bounds = (0.0, 0.0)
    if now.stat == "mean":
        bounds = _of_means(now, pairs, moved, frame.sides, same)
    elif not same or moved.any():
        bounds = _of_shares(moved, pairs.groups, frame.sides)
    return frame.change("images", float(pairs.before.mean()), float(pairs.now.mean()), bounds)


def _of_means(now: Measurement, pairs: Pairs, moved: Floats, sides: Sides, same: bool) -> summary.Bounds:
    """Bound a difference of means. A two-valued mean is a share; a gain moves by up to two steps."""
    if same and not moved.any():
        return 0.0, 0.0
    points = now.points
    if points is None and not now.gain:
        points = two_valued.points(np.concatenate([pairs.before, pairs.now]))
    return summary.of_mean(
        summary.Ask(sides=sides), moved, pairs.groups, points, gain=True, most=2 if now.gain else 1
    )


def _of_shares(moved: Floats, groups: Sequence[str], sides: Sides) -> summary.Bounds:
    """Bound the share of images newly counted (1) less the share of those no longer counted (-1).

    If no image moved, a jackknife would call the share certain.
    """
    return summary.of_mean(summary.Ask(sides=sides), moved, groups, two_valued.UNIT, gain=True)


def _of_sets(before: Measurement, now: Measurement, label: str, better: Better, sides: Sides) -> Change:
    """Compare what each prompt contributes to the two sets: the jackknife's pseudo-values."""
    was, is_now = dict(before.by_prompt), dict(now.by_prompt)
    difference = now.value - before.value
    bounds: summary.Bounds = (None, None)
    if was.keys() == is_now.keys() and len(was) >= intervals.MIN_PROMPTS:
        moved = np.array([is_now[prompt] - was[prompt] for prompt in is_now])
        interval = intervals.mean_interval(moved, (1 - intervals.CONFIDENCE) / sides)
        bounds = summary.shifted(interval, difference)
    return Change(
        label,
        better,
        "set",
        before.value,
        now.value,
        difference,
        *bounds,
        sides,
        min(before.n, now.n),
        prompts=worst_first(was, is_now, better),
    )


def _means(groups: Sequence[str], values: Floats) -> dict[str, float]:
    of_prompt: dict[str, list[float]] = defaultdict(list)
    for group, value in zip(groups, values.tolist(), strict=True):
        of_prompt[group].append(value)
    return {group: float(np.mean(parts)) for group, parts in of_prompt.items()}


def worst_first(before: Mapping[str, float], now: Mapping[str, float], better: Better) -> Prompts:
    """Return each prompt's two values and their difference, the prompt that worsened most first."""
    rows = [(prompt, before[prompt], now[prompt]) for prompt in now if prompt in before]
    moved = [(prompt, x, y, y - x) for prompt, x, y in rows]
    return tuple(sorted(moved, key=lambda row: -worsening(row[3], better)))
