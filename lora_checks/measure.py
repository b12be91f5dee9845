"""(Metric, images) -> Measurement: features, one value per image or per set, and its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks import features, stats
from lora_checks.errors import ConfigError, MeasureError
from lora_checks.extractors import Extractor, ImageExtractor, PairExtractor, TextExtractor
from lora_checks.extractors.of_pixels import OfPixels
from lora_checks.images import Decoded
from lora_checks.records import ImageFile, ImageSet, Measurement, Metric, Pairing, PromptSet, Stat
from lora_checks.store import Progress, Store

Floats = NDArray[np.floating[Any]]
REDUCE: dict[Stat, Callable[[Floats], float]] = {
    "mean": lambda v: float(np.mean(v)),
    "min": lambda v: float(np.min(v)),
    "max": lambda v: float(np.max(v)),
    "median": lambda v: float(np.median(v)),
}


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to measure: which metric, on which images, against what, summed up how."""

    metric: Metric
    images: ImageSet
    other: ImageSet | None = None  # references or baseline images, where the metric compares with pictures
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  # "" is the metric's own
    worst_is: str = ""  # "lowest" or "highest"; "" follows the metric's own direction
    texts: tuple[str, ...] = ()  # what a metric against texts chooses among

    @property
    def paired_by(self) -> Pairing:
        return self.pairing or self.metric.pairing


def measure(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None = None
) -> Measurement:
    """Measure; raises `MeasureError` where no finite value can be had, never returns a stand-in."""
    if not task.images.images:
        raise MeasureError(f"{task.metric.name}: there are no images to measure")
    if task.metric.takes in ("picture", "pair"):
        network = OfPixels(task.metric)
    arrays = _arrays(task, network, prompts, store, progress)
    if task.metric.per == "set":
        return _of_set(task, arrays, network)
    return _of_images(task, arrays, network)


def _arrays(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None
) -> tuple[Any, ...]:
    """The arguments of the metric's function."""
    metric, images = task.metric, task.images.images
    if network is None:
        return (Decoded(images), *([Decoded(task.other.images)] if task.other else []))
    if metric.takes in ("distances", "pair"):
        return (_distances(task, cast(PairExtractor, network), store, progress),)
    eyes = cast(ImageExtractor, network)
    part = "faces" if metric.takes == "faces" else "features"
    x = features.image_features(images, eyes, store, progress, part)
    if metric.against in ("nothing", "siblings"):
        return (x,)
    if metric.against in ("prompt", "texts"):
        asked = _texts(task, prompts) if metric.against == "prompt" else _choices(task)
        return (x, features.text_features(asked, cast(TextExtractor, network), store))
    return (x, _other_features(task, eyes, store, progress))


def _other_features(task: Task, eyes: ImageExtractor, store: Store, progress: Progress | None) -> Any:
    other = _other(task)
    if other.statistics is None:
        y = features.image_features(other.images, eyes, store, progress)
        _refuse_empty_references(task, other, y)
        return y
    if task.metric.per != "set":
        raise ConfigError(
            f"{task.metric.name} compares with pictures, but {other.statistics} holds statistics; "
            "name a folder"
        )
    from lora_checks.statistics_file import read_statistics

    return read_statistics(other.statistics, eyes.id)


def _distances(task: Task, network: PairExtractor, store: Store, progress: Progress | None) -> Floats:
    images = task.images.images
    if task.metric.against in ("nothing", "siblings"):
        return features.all_distances(images, images, network, store, progress)
    other = _other(task).images
    if task.metric.against == "baseline":
        return features.paired_distances(images, other, network, store, progress)
    if task.paired_by in ("sorted", "named"):
        chosen = [other[i] for i in _partners(task, other)]
        return features.paired_distances(images, chosen, network, store, progress)
    return features.all_distances(images, other, network, store, progress)


def _other(task: Task) -> ImageSet:
    if task.other is None:
        raise ConfigError(f"{task.metric.name} compares with pictures; say which")
    return task.other


def _texts(task: Task, prompts: PromptSet) -> list[str]:
    """What each image should show, in words that a scorer knows: the trigger means nothing to it."""
    texts = []
    for image in task.images.images:
        if image.prompt is None:
            raise ConfigError(f"{task.metric.name} needs the prompt of {image.name}")
        text = image.prompt.text
        if prompts.trigger:
            text = text.replace(prompts.trigger, prompts.class_words)
        texts.append(task.metric.text.format(text))
    return texts


def _choices(task: Task) -> list[str]:
    if len(task.texts) < 2:
        raise ConfigError(
            f"{task.metric.name} chooses among texts: give the row `texts:`, the right one first"
        )
    return [task.metric.text.format(text) for text in task.texts]


def _of_set(task: Task, arrays: tuple[Any, ...], network: Extractor | None) -> Measurement:
    x = arrays[0]
    missing = int(np.isnan(x).any(axis=1).sum()) if isinstance(x, np.ndarray) and x.ndim == 2 else 0
    if missing:
        raise MeasureError(f"{task.metric.name}: {missing} of {len(x)} images gave no features")

    def value_of(keep: NDArray[np.bool_]) -> float:
        return float(task.metric.fn(*_subset(task, arrays, keep)))

    value = value_of(np.ones(len(x), dtype=bool))
    low, high = _interval(value_of, value, _groups(task))
    return _measurement(task, network, value=value, low=low, high=high, n=len(x))


def _subset(task: Task, arrays: tuple[Any, ...], keep: NDArray[np.bool_]) -> tuple[Any, ...]:
    """The arguments for some of the images; what is paired with them, row or column, goes with them."""
    x, *rest = arrays
    chosen = _rows(x, keep)
    if task.metric.against == "nothing" and task.metric.takes == "distances":
        return (chosen[:, keep],)
    if task.metric.against in ("prompt", "baseline"):
        rest = [_rows(y, keep) for y in rest]
    return (chosen, *rest)


def _rows(x: Any, keep: NDArray[np.bool_]) -> Any:
    return x[keep] if isinstance(x, np.ndarray) else [x[i] for i in np.flatnonzero(keep)]


def _interval(
    value_of: Callable[[NDArray[np.bool_]], float], value: float, groups: Sequence[str]
) -> tuple[float | None, float | None]:
    """Around the plain value, not the bias-corrected one.

    A Frechet distance of few images is far above that of many, and thresholds are set on the plain value
    at the policy's own number of images; what the interval tells is how far another draw would lie.
    """
    found = stats.jackknife(value_of, groups)
    if found is None:
        return None, None
    return found.low - found.estimate + value, found.high - found.estimate + value


def _of_images(task: Task, arrays: tuple[Any, ...], network: Extractor | None) -> Measurement:
    values, nearest = _reduce(task, np.array(_raw(task, arrays), dtype=np.float64))
    _refuse_unusable(task, values)
    found: NDArray[np.bool_] = ~np.isnan(values)
    facts: dict[str, Any] = {
        "n": int(found.sum()),
        "missing": int((~found).sum()),
        "per_image": _per_image(task, values),
        "nearest": _count(task, nearest, found),
    }
    if task.stat == "missing":
        return _measurement(task, network, value=float(np.mean(~found)), **facts)
    if not found.any():
        raise MeasureError(
            f"{task.metric.name}: none of the {len(values)} images gave a value ({_why(task)})"
        )
    groups = [group for group, there in zip(_groups(task), found, strict=True) if there]
    return _measurement(task, network, **_summary(task, values[found], groups), **facts)


def _raw(task: Task, arrays: tuple[Any, ...]) -> Floats:
    """What the metric's function says of these images; of pixels it has been asked and stored already."""
    if task.metric.takes == "picture":
        return cast(Floats, arrays[0][:, 0])
    return cast(Floats, arrays[0] if task.metric.takes == "pair" else task.metric.fn(*arrays))


def _refuse_unusable(task: Task, values: Floats) -> None:
    if len(values) != len(task.images.images):
        raise MeasureError(
            f"{task.metric.name} returned {len(values)} values for {len(task.images.images)} images"
        )
    if np.isinf(values).any():
        raise MeasureError(f"{task.metric.name}: {int(np.isinf(values).sum())} values are infinite")


def _summary(task: Task, values: Floats, groups: list[str]) -> dict[str, Any]:
    """What the values of the images that have one amount to."""
    value = REDUCE[task.stat](values)
    low, high = None, None
    if task.stat in stats.STATS_WITH_INTERVAL:
        low, high = _interval(lambda keep: float(values[keep].mean()), value, groups)
    worst, extremes = _worst(task, values, groups), (float(values.min()), float(values.max()))
    return {"value": value, "low": low, "high": high, "worst": worst, "extremes": extremes}


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
        partners = _partners(task, _other(task).images)
        return raw[np.arange(len(raw)), partners], None
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
        groups = np.array(_groups(task), dtype=object)
        raw[groups[:, None] != groups[None, :]] = np.nan


def _partners(task: Task, other: Sequence[ImageFile]) -> list[int]:
    """Which of the others belongs to each image: in order of name, or by the prompt's id."""
    if task.paired_by == "sorted":
        _same_length(task, len(other))
        return list(range(len(other)))
    stems = {image.path.stem: i for i, image in enumerate(other)}
    absent = [group for group in dict.fromkeys(_groups(task)) if group not in stems]
    if absent:
        raise ConfigError(
            f"{task.metric.name}: pairing 'named' needs a picture of the prompt's id for each prompt, "
            f"and {task.other.name if task.other else ''} has none called {', '.join(absent[:5])}"
        )
    return [stems[group] for group in _groups(task)]


def _same_length(task: Task, others: int) -> None:
    if others != len(task.images.images):
        raise ConfigError(
            f"{task.metric.name}: pairing 'sorted' needs as many references as images, and there are "
            f"{others} for {len(task.images.images)}; use pairing 'nearest'"
        )


def _groups(task: Task) -> list[str]:
    """Prompts are the sampling unit; a picture without one stands for itself."""
    return [image.prompt.id if image.prompt else image.name for image in task.images.images]


def _per_image(task: Task, values: Floats) -> tuple[tuple[str, float | None], ...]:
    pairs = zip(task.images.images, values, strict=True)
    return tuple((image.name, None if np.isnan(value) else float(value)) for image, value in pairs)


def _count(
    task: Task, nearest: NDArray[np.int_] | None, found: NDArray[np.bool_]
) -> tuple[tuple[str, int], ...]:
    if nearest is None or task.other is None:
        return ()
    names = [f"{task.other.name}/{task.other.images[i].name}" for i in nearest[found]]
    return tuple(Counter(names).most_common())


def _worst(task: Task, values: Floats, groups: list[str]) -> tuple[str, float]:
    of_prompt: dict[str, list[float]] = {}
    for group, value in zip(groups, values, strict=True):
        of_prompt.setdefault(group, []).append(float(value))
    means = {group: float(np.mean(found)) for group, found in of_prompt.items()}
    lowest = task.worst_is == "lowest" or (not task.worst_is and task.metric.better == "higher")
    name = (min if lowest else max)(means, key=means.__getitem__)
    return name, means[name]


def _measurement(task: Task, network: Extractor | None, *, value: float, n: int, **rest: Any) -> Measurement:
    if not np.isfinite(value):
        raise MeasureError(f"{task.metric.name}: the value is {value}, which judges nothing")
    return Measurement(
        metric=task.metric.name,
        stat=task.stat if task.metric.per == "image" else "mean",
        value=value,
        n=n,
        missing=rest.pop("missing", 0),
        better=task.metric.better,
        network=f"{task.metric.name}/{task.metric.version} {network.id if network else 'pixels'}",
        label=network.label if network else "pixels",
        against=_against(task),
        prompts=len(set(_groups(task))),
        **rest,
    )


def _against(task: Task) -> str:
    if task.other is None:
        return ""
    if task.other.statistics:
        return f"{task.other.name} ({task.other.statistics.name})"
    return f"{task.other.name} ({len(task.other.images)})"


def _refuse_empty_references(task: Task, other: ImageSet, y: Floats) -> None:
    """A reference without a face compares with nothing, and would only thin out the others unseen."""
    empty = [image.name for image, row in zip(other.images, y, strict=True) if np.isnan(row).any()]
    if empty and task.metric.against == "reference":
        what = "no face was found" if task.metric.extractor == "arcface" else "nothing was found"
        raise MeasureError(
            f"{task.metric.name}: {what} in {len(empty)} of {len(other.images)} {other.name}: "
            f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}; replace or remove them"
        )
