"""Summarise a metric's values: the row's number, its interval, and what explains it.

This is the last of the three steps of `measure`, and computes from values alone.
"""

from __future__ import annotations

import math
from collections import Counter
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Measurement, Metric
from lora_checks.judge.evaluate import Floats, ImageValues, SetValue
from lora_checks.judge.fetch import Fetched
from lora_checks.judge.task import Task
from lora_checks.stats import intervals, summary


def summarise(task: Task, evaluated: ImageValues | SetValue, fetched: Fetched) -> Measurement:
    """Return the measurement.

    Raises:
        MeasureError: The value is not finite.
    """
    of_set = isinstance(evaluated, SetValue)
    summed = (
        _of_set(task, evaluated) if isinstance(evaluated, SetValue) else _of_images(task, evaluated, fetched)
    )
    value = summed["value"]
    if not np.isfinite(value):
        raise MeasureError(f"{task.metric.name}: the value is {value}, which cannot be judged")
    if task.stat == "mean" and task.baseline is None:
        summed |= _within_range(task.metric, value, summed.get("low"), summed.get("high"))
    return Measurement(
        metric=task.metric.name,
        stat="mean" if of_set else task.stat,
        better=task.metric.better,
        network=f"{task.metric.name}/{task.metric.version} {fetched.network}",
        label=fetched.label,
        against=task.against,
        prompts=len(set(task.groups)),
        at=task.at,
        gain=task.baseline is not None,
        on=task.on,
        sides=task.sides,
        **summed,
    )


def _of_images(task: Task, evaluated: ImageValues, fetched: Fetched) -> dict[str, Any]:
    """Summarise the images that have a value, or count those that have none."""
    values, nearest = evaluated.values, evaluated.nearest
    there: NDArray[np.bool_] = ~np.isnan(values)
    fields: dict[str, Any] = {
        "n": int(there.sum()),
        "missing": int((~there).sum()),
        "note": fetched.unanswered,
        "per_image": _per_image(task, values),
        **_nearest(task, nearest, there),
    }
    if task.stat == "missing":
        return fields | summary.of_hits(task.ask, ~there, task.groups)
    groups = [group for group, has_value in zip(task.groups, there, strict=True) if has_value]
    gain = task.baseline is not None
    fields |= summary.of_images(task.ask, values[there], groups, evaluated.points, gain)
    if fetched.noise is not None:
        fields |= _widened(task, fields, fetched.noise)
    return fields | {"themselves": _themselves(task, evaluated.others)}


def _widened(task: Task, fields: dict[str, Any], noise: float) -> dict[str, Any]:
    """Widen a mean's interval by the noise of a vision model's own answers.

    The spread of the images holds this noise already, on average; with few prompts it may by luck hold less.
    """
    if task.stat != "mean" or fields["low"] is None or fields["high"] is None:
        return {"noise": noise}
    sides = 2 if task.baseline is not None else 1  # a gain has it twice
    error = NormalDist().inv_cdf(1 - task.ask.tail) * noise * math.sqrt(sides / fields["n"])
    value = fields["value"]
    low, high = (math.hypot(fields[end] - value, error) for end in ("low", "high"))
    return {"noise": noise, "low": value - low, "high": value + high}


def _per_image(task: Task, values: Floats) -> tuple[tuple[str, float | None], ...]:
    pairs = zip(task.images.images, values, strict=True)
    return tuple((image.name, None if np.isnan(value) else float(value)) for image, value in pairs)


def _nearest(task: Task, nearest: NDArray[np.int_] | None, there: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the picture that each image is most like, and for how many images each picture is that."""
    if nearest is None or task.other is None:
        return {}
    names = [image.name for image, has_value in zip(task.images.images, there, strict=True) if has_value]
    pictures = [f"{task.other.name}/{task.other.images[i].name}" for i in nearest[there]]
    return {
        "nearest": tuple(Counter(pictures).most_common()),
        "matches": tuple(zip(names, pictures, strict=True)),
    }


def _themselves(task: Task, values: Floats | None) -> float | None:
    """Return the row's value of the other pictures, each against the rest."""
    if values is None:
        return None
    found = summary.of_images(task.ask, values, [str(i) for i in range(len(values))])["value"]
    return round(float(found), 12)  # of differences from their own mean, 0 and not 1e-16


def _of_set(task: Task, evaluated: SetValue) -> dict[str, Any]:
    """Put the jackknife's interval around the set's value."""
    value, by_prompt = evaluated.value, evaluated.by_prompt
    interval = (
        intervals.mean_interval(np.array(list(by_prompt.values())), task.ask.tail) if by_prompt else None
    )
    if interval and task.metric.unbiased:
        # The metric corrects for the number of images as if they were independent; the jackknife corrects
        # for several images of one prompt.
        value = interval.estimate
    low, high = evaluated.bounds or summary.shifted(interval, value)
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": len(task.images.images),
        "missing": 0,
        "by_prompt": tuple(by_prompt.items()),
        "floor": evaluated.scale.floor,
        "themselves": evaluated.scale.references,
        "reseeded": evaluated.scale.images,
        "reseeded_by": evaluated.scale.images_by,
    }


def _within_range(metric: Metric, value: float, low: float | None, high: float | None) -> dict[str, Any]:
    """Cut the interval to the metric's range."""
    if low is None or high is None:
        return {}
    least, most = metric.range
    return {"low": max(low, min(least, value)), "high": min(high, max(most, value))}
