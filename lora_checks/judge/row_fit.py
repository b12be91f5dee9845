"""A row and its metric: what does not go together, and the task they make."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE, COUNTED
from lora_checks.core.records import ImageSet, Metric, PromptSet, Threshold
from lora_checks.core.rounding import at_least
from lora_checks.judge.task import Task
from lora_checks.policy import arms
from lora_checks.stats import floors


def refuse(row: Threshold, metric: Metric, pictures: Callable[[str], ImageSet]) -> None:
    """Raises `ConfigError` for a row that its metric cannot be measured by."""
    if row.gain and metric.against == BASELINE:
        raise ConfigError(f"{metric.name} compares with the base already; leave out 'gain'")
    if row.against == BASELINE and metric.against not in ("reference", BASELINE):
        raise ConfigError(
            f"{metric.name} compares with no pictures; 'gain: true' measures what the LoRA adds to the base"
        )
    if metric.per == "set" and row.stat != "mean":
        raise ConfigError(f"{metric.name} is one value for all images, so it has no stat '{row.stat}'")
    if metric.against == "texts" and len(row.texts) < 2:
        raise ConfigError(
            f"{metric.name} chooses among texts: list two or more as 'texts', the right one first"
        )
    if row.texts and metric.against != "texts":
        raise ConfigError(f"{metric.name} chooses among no texts; remove 'texts', or measure clip_choice")
    if row.pairing and (metric.per == "set" or metric.against in ("prompt", "texts")):
        raise ConfigError(f"{metric.name} makes no pairs of pictures; remove 'pairing: {row.pairing}'")
    compares = metric.against == "reference" and row.against != BASELINE
    if compares and pictures(row.against).statistics and not metric.moments:
        raise ConfigError(
            f"{metric.name} compares with pictures, and {row.against} is a file of statistics; name a folder"
        )


def is_share(row: Threshold, metric: Metric) -> bool:
    """Whether the row's value is a share of images, whose interval is exact.

    The mean of a two-valued metric is one, unless each value is first averaged over the pictures it is paired
    with.
    """
    mean = row.stat == "mean" and (row.pairing or metric.pairing) != "mean"
    return row.stat in COUNTED or (metric.two_valued and mean)


def has_floor(row: Threshold, metric: Metric) -> bool:
    """Whether few images alone keep the row's value above what its limit may ask for."""
    return row.max is not None and metric.moments and not row.gain and row.against != BASELINE


def refuse_unreachable(
    row: Threshold, metric: Metric, pictures: NDArray[np.floating] | None, said: PromptSet
) -> None:
    """Raises `ConfigError` for a limit below what the pictures' features (M, D) give against themselves."""
    n = arms.number_of(said, row.on)
    floor = None if pictures is None else floors.floor(metric.fn, pictures, n)
    if pictures is not None and floor is not None and row.max is not None and not at_least(row.max, floor):
        against = f"{row.against} ({len(pictures)})"
        why = floors.unreachable(metric.name, row.max, floor, n, against)
        raise ConfigError(f"{row.source}: {row.name}: {why}")


def task(
    row: Threshold, metric: Metric, images: ImageSet, other: ImageSet | None, baseline: ImageSet | None
) -> Task:
    """``images`` are what the row is about, ``baseline`` their counterparts where it asks for a gain."""
    one_limit = (row.min is None) != (row.max is None)
    worst_is = ("lowest" if _low_is_bad(row) else "highest") if one_limit else ""
    return Task(
        metric,
        images,
        other,
        row.stat,
        row.pairing,
        worst_is,
        row.texts,
        row.at,
        baseline,
        row.on,
        sides=1 if one_limit and row.rule == "bound" else 2,
    )


def _low_is_bad(row: Threshold) -> bool:
    """Which values a row with one limit is there to catch: of a share, the counted ones if it has a max."""
    if row.at is None:
        return row.max is None
    return (row.stat == "share_at_least") == (row.max is None)
