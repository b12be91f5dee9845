"""A row's value on some of the prompts, from the values of its images, and each prompt's part in it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from lora_checks.core import direction
from lora_checks.core.quantity import STATS_WITH_INTERVAL, counts, prompt_of
from lora_checks.record.ranking.entry import Row
from lora_checks.stats import summary


class Found(NamedTuple):
    value: float
    low: float | None
    high: float | None
    prompts: int


def whole(row: Row | None) -> Found | None:
    """As it was measured. None where the row has no value."""
    m = (row or {}).get("measurement")
    if m is None or m["value"] is None:
        return None
    return Found(m["value"], m["low"], m["high"], m["prompts"])


def halvable(row: Row | None) -> bool:
    """Whether the document has a value for each image; a set's value cannot be made for half of the set."""
    m = (row or {}).get("measurement")
    return m is not None and bool(m["per_image"])


def on(row: Row | None, prompts: Collection[str]) -> Found | None:
    """The row's own statistic over the images of ``prompts`` alone, made as `measure` makes it.

    None where no image of theirs has a value.
    """
    if row is None or not halvable(row):
        return None
    m = row["measurement"]
    kept = [(prompt_of(name), value) for name, value in m["per_image"] if prompt_of(name) in prompts]
    valued = [(prompt, value) for prompt, value in kept if value is not None]
    ask = summary.Ask(m["stat"], m["at"], lowest=_wanted_of_images(row) == "higher")
    if m["stat"] == "missing" and kept:
        hits = np.array([value is None for _, value in kept])
        found = summary.of_hits(ask, hits, [prompt for prompt, _ in kept])
    elif valued:
        groups, values = zip(*valued, strict=True)
        points = tuple(m["points"]) if m.get("points") else None
        found = summary.of_images(ask, np.array(values, dtype=np.float64), groups, points, m["gain"])
    else:
        return None
    return Found(found["value"], found.get("low"), found.get("high"), len({prompt for prompt, _ in kept}))


def by_prompt(row: Row | None) -> dict[str, float]:
    """Prompt -> its part in the row's value, whose mean is the value; {} where the row is no mean.

    Of a set these are the jackknife's pseudo-values.
    """
    m = (row or {}).get("measurement")
    if m is None or m["stat"] not in STATS_WITH_INTERVAL:
        return {}
    if not m["per_image"]:
        return {prompt: value for prompt, value in m.get("by_prompt") or () if value is not None}
    found: dict[str, list[float]] = {}
    for name, value in m["per_image"]:
        part = _part(m, value)
        if part is not None:
            found.setdefault(prompt_of(name), []).append(part)
    return {prompt: float(np.mean(parts)) for prompt, parts in found.items()}


def _part(m: Row, value: float | None) -> float | None:
    if m["stat"] == "missing":
        return float(value is None)
    if value is None or m["at"] is None:
        return value
    return float(counts(value, m["stat"], m["at"]))


def better(row: Row) -> Any:
    """Return which way the row wants its value, "higher" or "lower"; "" where it has two limits."""
    limits: Row = row.get("threshold") or {}
    low, high = limits.get("min"), limits.get("max")
    if low is not None and high is not None:
        return ""
    return direction.by_limits(low, high) or row.get("direction", "")


def _wanted_of_images(row: Row) -> Any:
    """Return which way the row wants the values of images, as `judge.task` has it."""
    limits: Row = row.get("threshold") or {}
    m = row["measurement"]
    return direction.of_images(limits.get("min"), limits.get("max"), m["stat"], m["better"])
