"""Evaluate a metric's function: one value for each image, or one for the whole set.

This is the second of the three steps of `measure`. Nothing here reads the store or asks a network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Metric, digest
from lora_checks.core.rounding import shortest
from lora_checks.images.sets import LARGE
from lora_checks.judge.fetch import Arguments, Fetched
from lora_checks.judge.task import Task, partners
from lora_checks.metrics.function import one_number
from lora_checks.metrics.vectors import parts
from lora_checks.networks import sees_faces
from lora_checks.stats import floors, intervals, two_valued

PARTS = 32  # of the prompts of a large set
Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.int_]


@dataclass(frozen=True, slots=True, eq=False)
class ImageValues:
    """The result of a metric of single images."""

    values: Floats  # (N,), NaN where an image has no value
    nearest: Indices | None  # (N,) the picture most like each image, if pairing chose it
    points: two_valued.Points | None  # the only two values possible
    others: Floats | None  # (M,) the value of each of the other pictures against the rest of them


@dataclass(frozen=True, slots=True)
class Scale:
    """What the same pictures measure against themselves: a scale for reading a set's value."""

    floor: float | None = None  # the least that as many perfect images would measure
    references: float | None = None  # halves of the references against each other, on average
    images: tuple[float, ...] = ()  # the images against each other, lowest and highest
    images_by: Literal["seeds", "halves", ""] = ""  # how the images were divided


@dataclass(frozen=True, slots=True)
class SetValue:
    """The result of a metric of a whole set."""

    value: float
    by_prompt: dict[str, float]  # the prompts' pseudo-values; empty if there are too few prompts
    scale: Scale
    bounds: tuple[float, float] | None = None  # the metric's own interval, in place of one from the prompts


def evaluate(task: Task, fetched: Fetched) -> ImageValues | SetValue:
    """Apply the metric's function to the fetched arguments.

    Raises:
        MeasureError: The function gave something other than finite numbers, or no image has a value.
    """
    return _of_set(task, fetched) if task.metric.per == "set" else _of_images(task, fetched)


# --- a value for each image --------------------------------------------------------------------------


def _of_images(task: Task, fetched: Fetched) -> ImageValues:
    values, nearest = _values(task, fetched.arguments)
    seen = [values]
    if fetched.without is not None:
        without, _ = _values(_counterpart(task), fetched.without)
        seen.append(without)
        values = values - without  # missing on either side is missing
    points = _points(task.metric, seen)
    if task.stat != "missing" and np.isnan(values).all():
        raise MeasureError(
            f"{task.metric.name}: none of the {len(values)} images has a value "
            f"({fetched.unanswered or _why_missing(task)})"
        )
    return ImageValues(values, nearest, points, _others(task, fetched.others))


def _counterpart(task: Task) -> Task:
    """Return the same task for the images without the LoRA."""
    return task if task.baseline is None else replace(task, images=task.baseline)


def _values(task: Task, arguments: Arguments) -> tuple[Floats, Indices | None]:
    """Return one value for each image, (N,), and which picture was nearest."""
    values, nearest = _paired(task, _numbers(task, _result(task, arguments)))
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise MeasureError(f"{task.metric.name}: {infinite} values are infinite")
    if task.paired_by != "mean":
        _refuse_third_number(task.metric, values)
    return values, nearest


def _result(task: Task, arguments: Arguments) -> Any:
    """Call the metric's function; for pictures and pairs, `fetch` already did, and passes its results."""
    if task.metric.takes == "picture":
        return arguments[0][:, 0]
    return arguments[0] if task.metric.takes == "pair" else task.metric.fn(*arguments)


def _numbers(task: Task, result: Any) -> Floats:
    """Return the result as float64, (N,) or (N, M) with a column for each picture; refuse anything else."""
    n, name = len(task.images.images), task.metric.name
    try:
        if np.iscomplexobj(result):
            raise TypeError("complex")
        values = _float64(result)
    except (TypeError, ValueError) as error:
        raise MeasureError(f"{name} returned {type(result).__name__} instead of numbers") from error
    shapes: list[tuple[int, ...]] = [(n,)]
    if task.metric.against in ("nothing", "siblings"):
        shapes.append((n, n))
    elif task.other is not None:
        shapes.append((n, len(task.other.images)))
    if values.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise MeasureError(
            f"{name} returned an array of shape {values.shape}; for {n} images it must be {expected}"
        )
    return values


def _float64(result: Any) -> Floats:
    """Return a copy in which a float32 of 0.7 is 0.7 and not 0.699999988."""
    array = np.asarray(result)
    return shortest(array) if array.dtype.kind == "f" else np.array(result, dtype=np.float64)


def _paired(task: Task, raw: Floats) -> tuple[Floats, Indices | None]:
    """Reduce (N, M) to (N,) by the row's pairing, and return which picture was nearest."""
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
    """Set to NaN each pair of an image with itself or, among siblings, with an image of another prompt."""
    np.fill_diagonal(raw, np.nan)
    if task.metric.against == "siblings":
        groups = np.array(task.groups, dtype=object)
        raw[groups[:, None] != groups[None, :]] = np.nan


def _refuse_third_number(metric: Metric, values: Floats) -> None:
    """Raise if a two-valued metric gave a third value, which would distort the share of images."""
    thirds = values[~np.isin(values, metric.range) & ~np.isnan(values)]
    if metric.two_valued and len(thirds):
        low, high = metric.range
        raise MeasureError(
            f"{metric.name} is declared two_valued, so each value is {low:g} or {high:g}, and it gave "
            f"{thirds[0]:g}; return one of the two, or remove `two_valued=True` from its declaration"
        )


def _points(metric: Metric, sides: list[Floats]) -> two_valued.Points | None:
    """Return the only two numbers that occur with the LoRA and without it, if there are just two."""
    values = np.concatenate(sides).astype(np.float64)
    return two_valued.points(values[~np.isnan(values)], metric.range)


def _why_missing(task: Task) -> str:
    if task.metric.against == "siblings":
        return "it compares the images of one prompt, so list two seeds or more"
    return "no face was found in any" if sees_faces(task.metric.extractor) else "all are missing"


def _others(task: Task, fetched: Floats | None) -> Floats | None:
    """Return each other picture's value against the rest: the value that one more good picture would have."""
    if fetched is None:
        return None
    if task.metric.takes == "features":
        fetched = floors.each_to_the_others(lambda *pair: np.array(task.metric.fn(*pair))[0], fetched)
    alone = replace(task, pairing="mean" if task.paired_by == "mean" else "nearest")
    values, _ = _paired(alone, _float64(fetched))
    return values if np.isfinite(values).all() else None


# --- one value for the set ---------------------------------------------------------------------------


def _of_set(task: Task, fetched: Fetched) -> SetValue:
    sides = [fetched.arguments] if fetched.without is None else [fetched.arguments, fetched.without]
    for x, *_ in sides:
        rows = x if isinstance(x, np.ndarray) and x.ndim == 2 else np.empty((0, 1))
        missing = sum(int(np.isnan(part).any(axis=1).sum()) for part in parts(rows))
        if missing:
            raise MeasureError(f"{task.metric.name}: {missing} of {len(x)} images have no features")

    def value_of(keep: NDArray[np.bool_]) -> float:
        values = [one_number(task.metric.name, task.metric.fn(*_subset(task, side, keep))) for side in sides]
        return values[0] - sum(values[1:])

    value = value_of(np.ones(len(task.images.images), dtype=bool))
    if task.metric.interval is not None:
        return SetValue(value, {}, Scale(), task.metric.interval(*fetched.arguments, task.ask.tail))
    by_prompt = intervals.pseudo_values(value_of, _groups(task)) or {}
    return SetValue(value, by_prompt, _scale(task, fetched.arguments))


def _groups(task: Task) -> list[str]:
    """Return what is left out in turn: prompts, or of a large set parts of the prompts.

    To leave out each of thousands of prompts would take hours and hardly narrow the interval.
    """
    groups = task.groups
    if len(groups) < LARGE or len(set(groups)) <= PARTS:
        return groups
    return [f"part {int(digest(group)[:8], 16) % PARTS + 1} of {PARTS}" for group in groups]


def _subset(task: Task, arguments: Arguments, keep: NDArray[np.bool_]) -> Arguments:
    """Return the arguments for some of the images, with the rows and columns paired with them."""
    x, *rest = arguments
    chosen = _rows(x, keep)
    if task.metric.against == "nothing" and task.metric.takes == "distances":
        return (chosen[:, keep],)
    if task.metric.against in ("prompt", "baseline") or task.against_baseline:
        rest = [_rows(y, keep) for y in rest]
    return (chosen, *rest)


def _rows(x: Any, keep: NDArray[np.bool_]) -> Any:
    return x[keep] if isinstance(x, np.ndarray) else [x[i] for i in np.flatnonzero(keep)]


def _scale(task: Task, arguments: Arguments) -> Scale:
    """Measure the references against themselves and the images against themselves.

    The scale is empty if the references are statistics, which have no halves, or if a half is too small.
    """
    fn, n = task.metric.fn, len(task.images.images)
    if task.baseline or task.against_baseline or len(arguments) != 2:
        return Scale()
    x, references = arguments
    if not isinstance(references, np.ndarray):
        return Scale()
    try:
        halves = floors.split(fn, references, n)
        images_by, images = floors.again(fn, x, task.groups)
    except MeasureError:  # a half may be too small for the metric although the whole is not
        return Scale()
    floor = floors.floor(fn, references, n) if task.metric.moments else None
    return Scale(floor, float(np.mean(halves)) if halves else None, tuple(images), images_by)
