"""(Metric, images) -> Measurement: features, one value per image or per set, and its interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks import features, floors, stats, summary
from lora_checks.errors import ConfigError, MeasureError
from lora_checks.extractors import Extractor, ImageExtractor, PairExtractor, TextExtractor
from lora_checks.extractors.of_pixels import OfPixels
from lora_checks.images import Decoded
from lora_checks.quantity import BASELINE
from lora_checks.records import ImageFile, ImageSet, Measurement, Metric, Pairing, PromptSet, Stat
from lora_checks.store import Progress, Store

Floats = NDArray[np.floating[Any]]


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
    at: float | None = None  # of a share
    baseline: ImageSet | None = None  # the same images without the LoRA: the gain over them is measured
    on: str = ""  # the tag by which the images were chosen
    sides: Literal[1, 2] = 2
    confidence: float = stats.CONFIDENCE  # of each interval; what it amounts to over all looks is 95 %

    @property
    def paired_by(self) -> Pairing:
        if self.against_baseline:
            return "sorted"
        return self.pairing or self.metric.pairing

    @property
    def against_baseline(self) -> bool:
        """Whether each image is compared with its own counterpart without the LoRA."""
        return self.other is not None and self.other.name == BASELINE

    @property
    def ask(self) -> summary.Ask:
        lowest = self.worst_is == "lowest" or (not self.worst_is and self.metric.better == "higher")
        return summary.Ask(self.stat, self.at, lowest, self.sides, self.confidence)


def measure(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None = None
) -> Measurement:
    """Measure; raises `MeasureError` where no finite value can be had, never returns a stand-in."""
    if not task.images.images:
        raise MeasureError(f"{task.metric.name}: there are no images to measure")
    if task.metric.takes in ("picture", "pair"):
        network = OfPixels(task.metric)
    sides = [task] if task.baseline is None else [task, replace(task, images=task.baseline)]
    arrays = [_arrays(side, network, prompts, store, progress) for side in sides]
    if task.metric.per == "set":
        return _of_set(task, arrays, network)
    return _of_images(task, sides, arrays, network)


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


def _of_set(task: Task, arrays: list[tuple[Any, ...]], network: Extractor | None) -> Measurement:
    for x, *_ in arrays:
        missing = int(np.isnan(x).any(axis=1).sum()) if isinstance(x, np.ndarray) and x.ndim == 2 else 0
        if missing:
            raise MeasureError(f"{task.metric.name}: {missing} of {len(x)} images gave no features")

    def value_of(keep: NDArray[np.bool_]) -> float:
        values = [float(task.metric.fn(*_subset(task, side, keep))) for side in arrays]
        return values[0] - sum(values[1:])

    n, ask = len(task.images.images), task.ask
    value = value_of(np.ones(n, dtype=bool))
    pseudo = stats.pseudo_values(value_of, _groups(task)) or {}
    found = stats.mean_interval(np.array(list(pseudo.values())), ask.tail) if pseudo else None
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
        by, again = floors.again(metric.fn, arrays[0], _groups(task))
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
        return _measurement(task, network, **summary.of_hits(task.ask, ~there, _groups(task)), **facts)
    if not there.any():
        raise MeasureError(
            f"{task.metric.name}: none of the {len(values)} images gave a value ({_why(task)})"
        )
    groups = [group for group, found in zip(_groups(task), there, strict=True) if found]
    facts["themselves"] = _others_themselves(task, arrays[0])
    return _measurement(task, network, **summary.of_images(task.ask, values[there], groups), **facts)


def _others_themselves(task: Task, arrays: tuple[Any, ...]) -> float | None:
    """The row's own value of the pictures that it compares with, each against the others: what another good
    picture would have. Of features only: distances of pairs would have to be computed for it."""
    if task.baseline or task.against_baseline or task.metric.takes != "features" or len(arrays) != 2:
        return None
    if task.metric.against != "reference" or len(arrays[1]) < floors.LEAST or task.paired_by == "named":
        return None
    alone = replace(task, pairing="mean" if task.paired_by == "mean" else "nearest")

    def of_one(picture: Floats, others: Floats) -> float:
        return float(_reduce(alone, np.array(task.metric.fn(picture, others), dtype=np.float64))[0][0])

    values = floors.each_to_the_others(of_one, arrays[1])
    names = [str(i) for i in range(len(values))]
    return float(summary.of_images(task.ask, values, names)["value"]) if np.isfinite(values).all() else None


def _values(task: Task, arrays: tuple[Any, ...]) -> tuple[Floats, NDArray[np.int_] | None]:
    """One value an image, (N,), and which reference was nearest."""
    values, nearest = _reduce(task, np.array(_raw(task, arrays), dtype=np.float64))
    _refuse_unusable(task, values)
    return values, nearest


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
        against=_against(task),
        prompts=len(set(_groups(task))),
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


def _against(task: Task) -> str:
    if task.other is None:
        return ""
    if task.other.statistics:
        return f"{task.other.name} ({task.other.statistics.name})"
    return f"{task.other.name} ({len(task.other.images)})"


def _refuse_empty_references(task: Task, other: ImageSet, y: Floats) -> None:
    """A reference without a face compares with nothing, and would only thin out the others unseen."""
    empty = [image.name for image, row in zip(other.images, y, strict=True) if np.isnan(row).any()]
    if empty and task.metric.against == "reference" and not task.against_baseline:
        what = "no face was found" if task.metric.extractor == "arcface" else "nothing was found"
        raise MeasureError(
            f"{task.metric.name}: {what} in {len(empty)} of {len(other.images)} {other.name}: "
            f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}; replace or remove them"
        )
