"""Refuse rows that ask for what their metric cannot do, before any image is made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE, COUNTED
from lora_checks.core.records import ImageSet, Metric, PromptSet, Stat, Threshold
from lora_checks.core.rounding import at_least
from lora_checks.policy import arms
from lora_checks.stats import floors

_OF_PROMPTS = (
    "mean",
    "worst_prompt",
)  # stats of a gain that are the same however a prompt's images are paired


def refuse(row: Threshold, metric: Metric, pictures: Callable[[str], ImageSet]) -> None:
    """Raise `ConfigError` for a row whose metric cannot do what it asks.

    Args:
        row: The row of the policy.
        metric: The row's metric.
        pictures: Returns a folder of the policy by its name.
    """
    if row.gain and metric.against == BASELINE:
        raise ConfigError(f"{metric.name} compares with the base already; leave out 'gain'")
    if row.gain and metric.interval is not None:
        raise ConfigError(f"{metric.name} has an interval of its own, and none of a gain; leave out 'gain'")
    if metric.takes == "labelled" and row.against == BASELINE:
        raise ConfigError(f"{metric.name} needs labelled pictures; name their folder in 'against'")
    if row.against == BASELINE and metric.against not in ("reference", BASELINE):
        raise ConfigError(
            f"{metric.name} does not compare pictures; 'gain: true' measures what the LoRA adds to the base"
        )
    if metric.per == "set" and row.stat != "mean":
        raise ConfigError(f"{metric.name} is one value for all images, so it has no stat '{row.stat}'")
    if metric.against == "texts" and len(row.texts) < 2:
        raise ConfigError(
            f"{metric.name} chooses among texts: list two or more as 'texts', the correct one first"
        )
    if row.texts and metric.against != "texts":
        raise ConfigError(
            f"{metric.name} does not choose among texts; remove 'texts', or measure clip_choice"
        )
    if metric.takes == "answers" and row.question is None:
        raise ConfigError(f"{metric.name} asks a vision model; say what with 'question: NAME'")
    if row.question is not None and metric.takes != "answers":
        raise ConfigError(f"{metric.name} asks nothing; remove 'question', or measure judge")
    if row.pairing and (metric.per == "set" or metric.against in ("prompt", "texts")):
        raise ConfigError(f"{metric.name} does not pair pictures; remove 'pairing: {row.pairing}'")
    compares = metric.against == "reference" and row.against != BASELINE
    if compares and pictures(row.against).statistics and not metric.moments:
        raise ConfigError(
            f"{metric.name} compares with pictures, and {row.against} is a file of statistics; name a folder"
        )


def refuse_unpaired(metric: Metric, stat: Stat, gain: bool, against: str, why: str) -> None:
    """Raise `ConfigError` for a value of single pairs, where an image has no counterpart without the LoRA.

    A mean gain is that of each prompt's images less that of the base's, whichever image is beside which.

    Args:
        metric: The metric.
        stat: What of the images' values is wanted.
        gain: Whether the base's values are subtracted.
        against: The pictures that the images are compared with.
        why: Why images of one seed are no pairs (`PromptSet.unpaired`); "" if they are.
    """
    pairwise = against == BASELINE or metric.against == BASELINE
    if why and metric.per == "image" and (pairwise or (gain and stat not in _OF_PROMPTS)):
        what = (
            "compares each image with the base's of the same seed"
            if pairwise
            else f"takes the {stat} of gains"
        )
        raise ConfigError(
            f"{metric.name} {what}, and these are no pairs: {why} ('base' under sampler: in prompts.yaml); "
            "use 'gain: true' with stat 'mean' or 'worst_prompt', or remove it there"
        )


def is_share(row: Threshold, metric: Metric) -> bool:
    """Return whether the row's value is a share of images, whose interval is exact.

    The mean of a two-valued metric is such a share, unless each value is itself a mean over several pictures.
    """
    mean = row.stat == "mean" and (row.pairing or metric.pairing) != "mean"
    return row.stat in COUNTED or (metric.two_valued and mean)


def has_floor(row: Threshold, metric: Metric) -> bool:
    """Return whether having few images may by itself keep the row's value above its limit."""
    return row.max is not None and metric.moments and not row.gain and row.against != BASELINE


def has_scale(row: Threshold, metric: Metric) -> bool:
    """Return whether the row's values are in units of the spread of the pictures that it compares with."""
    return metric.takes == "landmarks" and metric.against == "reference" and row.against != BASELINE


def refuse_unreachable(
    row: Threshold, metric: Metric, features: NDArray[np.floating] | None, prompts: PromptSet
) -> None:
    """Raise `ConfigError` for a limit below what the references measure against themselves.

    Args:
        row: The row of the policy.
        metric: The row's metric.
        features: Features of the references, (M, D); None if the policy has only their statistics.
        prompts: The prompts of the run, which decide the number of images.
    """
    if features is None or row.max is None:
        return
    n = arms.number_of(prompts, row.on)
    floor = floors.floor(metric.fn, features, n)
    if floor is not None and not at_least(row.max, floor):
        against = f"{row.against} ({len(features)})"
        why = floors.unreachable(metric.name, row.max, floor, n, against)
        raise ConfigError(f"{row.source}: {row.name}: {why}")
