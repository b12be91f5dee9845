"""What a metric's function is called with: features, distances or pixels of the images and of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, PromptSet
from lora_checks.core.store import Progress, Store
from lora_checks.images.decoding import Decoded, content_of
from lora_checks.judge.task import Task
from lora_checks.networks import Extractor, ImageExtractor, PairExtractor, TextExtractor, features

Floats = NDArray[np.floating[Any]]


def arguments(
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
    other = task.pictures
    if other.statistics is None:
        y = features.image_features(other.images, eyes, store, progress)
        _refuse_empty_references(task, other, y)
        return y
    if task.metric.per != "set":
        raise ConfigError(
            f"{task.metric.name} compares with pictures, but {other.statistics.path} holds statistics; "
            "name a folder"
        )
    from lora_checks.metrics.statistics_file import read_statistics

    return read_statistics(other.statistics.path, eyes.id, content_of(other.statistics))


def _distances(task: Task, network: PairExtractor, store: Store, progress: Progress | None) -> Floats:
    images = task.images.images
    if task.metric.against in ("nothing", "siblings"):
        return features.all_distances(images, images, network, store, progress)
    other = task.pictures.images
    if task.metric.against == "baseline":
        return features.paired_distances(images, other, network, store, progress)
    if task.paired_by in ("sorted", "named"):
        chosen = [other[i] for i in partners(task, other)]
        return features.paired_distances(images, chosen, network, store, progress)
    return features.all_distances(images, other, network, store, progress)


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


def partners(task: Task, other: Sequence[ImageFile]) -> list[int]:
    """Which of the others belongs to each image: in order of name, or by the prompt's id."""
    if task.paired_by == "sorted":
        _same_length(task, len(other))
        return list(range(len(other)))
    stems = {image.path.stem: i for i, image in enumerate(other)}
    absent = [group for group in dict.fromkeys(task.groups) if group not in stems]
    if absent:
        raise ConfigError(
            f"{task.metric.name}: pairing 'named' needs a picture of the prompt's id for each prompt, "
            f"and {task.other.name if task.other else ''} has none called {', '.join(absent[:5])}"
        )
    return [stems[group] for group in task.groups]


def _same_length(task: Task, others: int) -> None:
    if others != len(task.images.images):
        raise ConfigError(
            f"{task.metric.name}: pairing 'sorted' needs as many references as images, and there are "
            f"{others} for {len(task.images.images)}; use pairing 'nearest'"
        )


def _refuse_empty_references(task: Task, other: ImageSet, y: Floats) -> None:
    """A reference without a face compares with nothing, and would only thin out the others unseen."""
    empty = [image.name for image, row in zip(other.images, y, strict=True) if np.isnan(row).any()]
    if empty and task.metric.against == "reference" and not task.against_baseline:
        what = "no face was found" if task.metric.extractor == "arcface" else "nothing was found"
        raise MeasureError(
            f"{task.metric.name}: {what} in {len(empty)} of {len(other.images)} {other.name}: "
            f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}; replace or remove them"
        )
