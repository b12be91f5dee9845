"""(Metric, images) -> Measurement: features, one value per image or per set, and its interval."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Measurement, Metric, PromptSet
from lora_checks.core.rounding import shortest
from lora_checks.core.store import Progress, Store
from lora_checks.judge.arguments import arguments, partners
from lora_checks.judge.task import Task
from lora_checks.metrics.function import one_number
from lora_checks.metrics.of_pixels import OfPixels
from lora_checks.networks import Extractor, PairExtractor, features
from lora_checks.stats import floors, intervals, summary, two_valued

Floats = NDArray[np.floating[Any]]


def measure(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None = None
) -> Measurement:
    """Measure; raises `MeasureError` where no finite value can be had, never returns a stand-in."""
    if not task.images.images:
        raise MeasureError(f"{task.metric.name}: there are no images to measure")
    if task.metric.takes in ("picture", "pair"):
        network = OfPixels(task.metric)
    sides = [task] if task.baseline is None else [task, replace(task, images=task.baseline)]
    arrays = [arguments(side, network, prompts, store, progress) for side in sides]
    if task.metric.per == "set":
        return _of_set(task, arrays, network)
    found = _of_images(task, sides, arrays, network)
    return replace(found, themselves=_others_themselves(task, arrays[0], network, store))


def _of_set(task: Task, arrays: list[tuple[Any, ...]], network: Extractor | None) -> Measurement:
    for x, *_ in arrays:
        missing = int(np.isnan(x).any(axis=1).sum()) if isinstance(x, np.ndarray) and x.ndim == 2 else 0
        if missing:
            raise MeasureError(f"{task.metric.name}: {missing} of {len(x)} images gave no features")

    def value_of(keep: NDArray[np.bool_]) -> float:
        values = [one_number(task.metric.name, task.metric.fn(*_subset(task, side, keep))) for side in arrays]
        return values[0] - sum(values[1:])

    n, ask = len(task.images.images), task.ask
    value = value_of(np.ones(n, dtype=bool))
    pseudo = intervals.pseudo_values(value_of, task.groups) or {}
    found = intervals.mean_interval(np.array(list(pseudo.values())), ask.tail) if pseudo else None
    if task.metric.unbiased and found:  # of independent images; the correction is for those of one prompt
        value = found.estimate
    low, high = summary.shifted(found, value)
    rest = {"by_prompt": tuple(pseudo.items())} | _against_themselves(task, arrays[0])
    return _measurement(task, network, value=value, low=low, high=high, n=n, **rest)


def _against_themselves(task: Task, arrays: tuple[Any, ...]) -> dict[str, Any]:
    """What the references give against themselves, and the images, of a metric of two sets; not where the
    references are statistics, of which there are no halves."""
    metric = task.metric
    if task.baseline or task.against_baseline or len(arrays) != 2 or not isinstance(arrays[1], np.ndarray):
        return {}
    try:
        found = floors.split(metric.fn, arrays[1], len(task.images.images))
        by, again = floors.again(metric.fn, arrays[0], task.groups)
    except MeasureError:  # a half may be too small for what serves the whole
        return {}
    return {
        "floor": floors.floor(metric.fn, arrays[1], len(task.images.images)) if metric.moments else None,
        "themselves": float(np.mean(found)) if found else None,
        "reseeded": tuple(again),
        "reseeded_by": by,
    }


def _subset(task: Task, arrays: tuple[Any, ...], keep: NDArray[np.bool_]) -> tuple[Any, ...]:
    """The arguments for some of the images; what is paired with them, row or column, goes with them."""
    x, *rest = arrays
    chosen = _rows(x, keep)
    if task.metric.against == "nothing" and task.metric.takes == "distances":
        return (chosen[:, keep],)
    if task.metric.against in ("prompt", "baseline") or task.against_baseline:
        rest = [_rows(y, keep) for y in rest]
    return (chosen, *rest)


def _rows(x: Any, keep: NDArray[np.bool_]) -> Any:
    return x[keep] if isinstance(x, np.ndarray) else [x[i] for i in np.flatnonzero(keep)]


def _of_images(
    task: Task, sides: list[Task], arrays: list[tuple[Any, ...]], network: Extractor | None
) -> Measurement:
    found_by_side = [_values(side, of_side) for side, of_side in zip(sides, arrays, strict=True)]
    points = _points(task.metric, [side for side, _ in found_by_side])
    values, nearest = found_by_side[0]
    for without, _ in found_by_side[1:]:
        values = values - without  # missing on either side is missing
    there: NDArray[np.bool_] = ~np.isnan(values)
    facts: dict[str, Any] = {
        "n": int(there.sum()),
        "missing": int((~there).sum()),
        "per_image": _per_image(task, values),
        **_nearest(task, nearest, there),
    }
    if task.stat == "missing":
        return _measurement(task, network, **summary.of_hits(task.ask, ~there, task.groups), **facts)
    if not there.any():
        raise MeasureError(
            f"{task.metric.name}: none of the {len(values)} images gave a value ({_why(task)})"
        )
    groups = [group for group, found in zip(task.groups, there, strict=True) if found]
    gain = task.baseline is not None
    summed = summary.of_images(task.ask, values[there], groups, points, gain)
    return _measurement(task, network, **summed, **facts)


def _points(metric: Metric, sides: list[Floats]) -> two_valued.Points | None:
    """The two numbers that all values are of, with the LoRA and without."""
    found = np.concatenate(sides).astype(np.float64)
    return two_valued.points(found[~np.isnan(found)], metric.range)


def _others_themselves(
    task: Task, arrays: tuple[Any, ...], network: Extractor | None, store: Store
) -> float | None:
    """The row's own value of the pictures that it compares with, each against the others: what another good
    picture would have."""
    others = task.other.images if task.other and not task.against_baseline and not task.baseline else ()
    if task.metric.against != "reference" or len(others) < floors.LEAST or task.paired_by == "named":
        return None
    if network is None or task.stat == "missing" or task.metric.takes not in ("features", "distances"):
        return None
    alone = replace(task, pairing="mean" if task.paired_by == "mean" else "nearest")
    if task.metric.takes == "features":
        raw = floors.each_to_the_others(lambda *pair: np.array(task.metric.fn(*pair))[0], arrays[1])
    else:
        chosen = floors.chosen(len(others), len(task.images.images))
        raw = features.all_distances([others[i] for i in chosen], others, cast(PairExtractor, network), store)
        raw[np.arange(len(chosen)), chosen] = np.nan  # of each picture to itself
    values = _reduce(alone, _in_float64(raw))[0]
    if not np.isfinite(values).all():
        return None
    return float(summary.of_images(task.ask, values, [str(i) for i in range(len(values))])["value"])


def _values(task: Task, arrays: tuple[Any, ...]) -> tuple[Floats, NDArray[np.int_] | None]:
    """One value an image, (N,), and which reference was nearest."""
    values, nearest = _reduce(task, _numbers(task, _raw(task, arrays)))
    _refuse_infinite(task.metric, values)
    if task.paired_by != "mean":
        _refuse_third_number(task.metric, values)
    return values, nearest


def _raw(task: Task, arrays: tuple[Any, ...]) -> Any:
    """What the metric's function says of these images; of pixels it has been asked and stored already."""
    if task.metric.takes == "picture":
        return arrays[0][:, 0]
    return arrays[0] if task.metric.takes == "pair" else task.metric.fn(*arrays)


def _numbers(task: Task, found: Any) -> Floats:
    """(N,), or a column for each picture that it is compared with, in float64 of its own."""
    n, name = len(task.images.images), task.metric.name
    try:
        if np.iscomplexobj(found):
            raise TypeError("complex")
        values = _in_float64(found)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name} returned {type(found).__name__}, and no numbers") from error
    shapes: list[tuple[int, ...]] = [(n,)]
    if task.metric.against in ("nothing", "siblings"):
        shapes.append((n, n))
    elif task.other is not None:
        shapes.append((n, len(task.other.images)))
    if values.shape not in shapes:
        right = " or ".join(map(str, shapes))
        raise MeasureError(f"{name} returned the shape {values.shape}; of {n} images it gives {right}")
    return values


def _in_float64(found: Any) -> Floats:
    """A copy; what is stored with fewer digits has only those digits: a float32 of 0.7 is 0.7."""
    given = np.asarray(found)
    return shortest(given) if given.dtype.kind == "f" else np.array(found, dtype=np.float64)


def _refuse_infinite(metric: Metric, values: Floats) -> None:
    if np.isinf(values).any():
        raise MeasureError(f"{metric.name}: {int(np.isinf(values).sum())} values are infinite")


def _refuse_third_number(metric: Metric, values: Floats) -> None:
    """What is declared to be one of two numbers is judged as a share of images, which a third would bend."""
    other = values[~np.isin(values, metric.range) & ~np.isnan(values)]
    if metric.two_valued and len(other):
        low, high = metric.range
        raise MeasureError(
            f"{metric.name} is declared two_valued, so each value is {low:g} or {high:g}, and it gave "
            f"{other[0]:g}; return one of the two, or remove `two_valued=True` from its declaration"
        )


def _why(task: Task) -> str:
    if task.metric.against == "siblings":
        return "it compares the images of one prompt, so list two seeds or more"
    return "no face was found in any" if task.metric.extractor == "arcface" else "all are missing"


def _reduce(task: Task, raw: Floats) -> tuple[Floats, NDArray[np.int_] | None]:
    """(N, M) -> (N,) by the row's pairing, and which reference was nearest."""
    if raw.ndim == 1:
        return raw, None
    if task.metric.against in ("nothing", "siblings"):
        _leave_out(task, raw)
    empty = np.asarray(np.isnan(raw).all(axis=1))  # no face in the image, or nothing to compare it with
    if task.paired_by in ("sorted", "named"):
        return raw[np.arange(len(raw)), partners(task, task.pictures.images)], None
    if task.paired_by == "mean":
        return np.where(empty, np.nan, np.nanmean(np.where(empty[:, None], 0.0, raw), axis=1)), None
    lowest = (task.metric.closer or task.metric.better) == "lower"
    filled = np.where(np.isnan(raw), np.inf if lowest else -np.inf, raw)
    nearest = filled.argmin(axis=1) if lowest else filled.argmax(axis=1)
    return np.where(empty, np.nan, raw[np.arange(len(raw)), nearest]), nearest


def _leave_out(task: Task, raw: Floats) -> None:
    """NaN where an image would be compared with itself or, among siblings, with another prompt's."""
    np.fill_diagonal(raw, np.nan)
    if task.metric.against == "siblings":
        groups = np.array(task.groups, dtype=object)
        raw[groups[:, None] != groups[None, :]] = np.nan


def _per_image(task: Task, values: Floats) -> tuple[tuple[str, float | None], ...]:
    pairs = zip(task.images.images, values, strict=True)
    return tuple((image.name, None if np.isnan(value) else float(value)) for image, value in pairs)


def _nearest(task: Task, nearest: NDArray[np.int_] | None, found: NDArray[np.bool_]) -> dict[str, Any]:
    """Which picture each image is most like, and how often each picture is that."""
    if nearest is None or task.other is None:
        return {}
    names = [image.name for image, there in zip(task.images.images, found, strict=True) if there]
    pictures = [f"{task.other.name}/{task.other.images[i].name}" for i in nearest[found]]
    return {
        "nearest": tuple(Counter(pictures).most_common()),
        "matches": tuple(zip(names, pictures, strict=True)),
    }


def _measurement(task: Task, network: Extractor | None, *, value: float, n: int, **rest: Any) -> Measurement:
    if not np.isfinite(value):
        raise MeasureError(f"{task.metric.name}: the value is {value}, which judges nothing")
    if task.stat == "mean" and task.baseline is None:
        rest |= _within_range(task.metric, value, rest.get("low"), rest.get("high"))
    return Measurement(
        metric=task.metric.name,
        stat=task.stat if task.metric.per == "image" else "mean",
        value=value,
        n=n,
        missing=rest.pop("missing", 0),
        better=task.metric.better,
        network=f"{task.metric.name}/{task.metric.version} {network.id if network else 'pixels'}",
        label=network.label if network else "pixels",
        against=task.against,
        prompts=len(set(task.groups)),
        at=task.at,
        gain=task.baseline is not None,
        on=task.on,
        sides=task.sides,
        **rest,
    )


def _within_range(metric: Metric, value: float, low: float | None, high: float | None) -> dict[str, Any]:
    """The interval without what the metric cannot be."""
    if low is None or high is None:
        return {}
    least, most = metric.range
    return {"low": max(low, min(least, value)), "high": min(high, max(most, value))}
