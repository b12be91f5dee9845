"""Fetch the arguments of a metric's function: features, distances or pixels, from the store or a network.

This is the first of the three steps of `measure`, and the only one that reads or writes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, PromptSet
from lora_checks.core.records.labels import labels_id
from lora_checks.core.store import Progress, Store
from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import content_of
from lora_checks.judge import answers, labels
from lora_checks.judge.task import Task, partners, prompt_text
from lora_checks.metrics.of_pixels import OfPixels
from lora_checks.networks import Extractor, ImageExtractor, PairExtractor, TextExtractor, features, sees_faces
from lora_checks.networks.vlm.model import VisionModel
from lora_checks.stats import floors

Floats = NDArray[np.floating[Any]]
Arguments = tuple[Any, ...]  # of the metric's function: the images' array, then the one to compare with


@dataclass(frozen=True, slots=True, eq=False)
class Fetched:
    """The input of `evaluate`, and the network that it came from."""

    arguments: Arguments
    without: Arguments | None  # the same without the LoRA, for a gain
    others: Floats | None  # features or distances by which the other pictures are compared with each other
    network: str  # identity: settings and digest of the weights
    label: str  # the network's name for people
    unanswered: str = ""  # why a vision model gave no answer about some images
    noise: float | None = None  # of a vision model: standard deviation of its answers to one question


def fetch(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None
) -> Fetched:
    """Fetch the arguments of the metric's function; see `measure` for the arguments and errors."""
    if isinstance(network, VisionModel):
        return _asked(task, network, prompts, store, progress)
    if task.metric.takes in ("picture", "pair"):
        network = OfPixels(task.metric)
    arguments = _arguments(task, network, prompts, store, progress)
    without = None
    if task.baseline is not None:
        without = _arguments(replace(task, images=task.baseline), network, prompts, store, progress)
    others = _others(task, network, arguments, store)
    id, label = (network.id, network.label) if network else ("pixels", "pixels")
    if task.metric.takes == "labelled":
        id += labels_id(task.labels.values())
    return Fetched(arguments, without, others, id, label)


def _asked(
    task: Task, model: VisionModel, prompts: PromptSet, store: Store, progress: Progress | None
) -> Fetched:
    """Ask a vision model about the images, and about their counterparts for a gain."""
    found, why = answers.values(task, model, prompts, store, progress)
    without: Arguments | None = None
    if task.baseline is not None:
        base, why_base = answers.values(replace(task, images=task.baseline), model, prompts, store, progress)
        without, why = (base,), why or why_base
    noise = answers.noise(task, model, prompts, store)
    return Fetched((found,), without, None, model.id, model.label, why, noise)


def _arguments(
    task: Task, network: Extractor | None, prompts: PromptSet, store: Store, progress: Progress | None
) -> Arguments:
    metric, images = task.metric, task.images.images
    if network is None:
        return (Decoded(images), *([Decoded(task.other.images)] if task.other else []))
    if metric.takes in ("distances", "pair"):
        return (_distances(task, cast(PairExtractor, network), store, progress),)
    of_images = cast(ImageExtractor, network)
    part = _part(task, of_images)
    x = features.image_features(images, of_images, store, progress, part)
    if metric.against in ("nothing", "siblings"):
        return (x,)
    if metric.against in ("prompt", "texts"):
        texts = _prompt_texts(task, prompts) if metric.against == "prompt" else _row_texts(task)
        return (x, features.text_features(texts, cast(TextExtractor, network), store))
    y = _other_features(task, of_images, store, progress)
    if metric.takes == "labelled":
        return (
            x,
            y,
            labels.of_images(images, task.labels),
            labels.of_pictures(task.pictures.images, task.labels),
        )
    return (x, y)


def _part(task: Task, network: ImageExtractor) -> str:
    """Return which part of the network's rows the metric takes."""
    if task.metric.takes not in ("faces", "landmarks"):
        return "features"
    if task.metric.takes not in getattr(network, "parts", {}):
        raise ConfigError(
            f"{task.metric.name} needs a network that finds {task.metric.takes}, and {network.label} does not"
        )
    return task.metric.takes


def _distances(task: Task, network: PairExtractor, store: Store, progress: Progress | None) -> Floats:
    kind, pictures = compared(task)
    fetched = features.all_distances if kind == "all" else features.paired_distances
    return fetched(task.images.images, pictures, network, store, progress)


def compared(task: Task) -> tuple[Literal["all", "pairs"], Sequence[ImageFile]]:
    """Return with which pictures the images are compared: each with all of them, or with its own."""
    if task.metric.against in ("nothing", "siblings"):
        return "all", task.images.images
    other = task.pictures.images
    if task.metric.against == "baseline":
        return "pairs", other
    if task.paired_by in ("sorted", "named"):
        return "pairs", [other[i] for i in partners(task, other)]
    return "all", other


def _prompt_texts(task: Task, prompts: PromptSet) -> list[str]:
    """Return each image's prompt in words that a scorer knows: class words instead of the trigger."""
    return [task.metric.text.format(prompt_text(task, image, prompts)) for image in task.images.images]


def _row_texts(task: Task) -> list[str]:
    if len(task.texts) < 2:
        raise ConfigError(
            f"{task.metric.name} chooses among texts: give the row 'texts', the correct one first"
        )
    return [task.metric.text.format(text) for text in task.texts]


def _other_features(task: Task, network: ImageExtractor, store: Store, progress: Progress | None) -> Any:
    other = task.pictures
    if other.statistics is None:
        y = features.image_features(other.images, network, store, progress, _part(task, network))
        _refuse_empty_references(task, other, y)
        return y
    if task.metric.per != "set":
        raise ConfigError(
            f"{task.metric.name} compares with pictures, but {other.statistics.path} holds statistics; "
            "name a folder"
        )
    from lora_checks.metrics.statistics_file import read_statistics

    return read_statistics(other.statistics.path, network.id, content_of(other.statistics))


def _refuse_empty_references(task: Task, other: ImageSet, y: Floats) -> None:
    """Raise `MeasureError` for a reference without features, which would otherwise be left out silently."""
    empty = [image.name for image, row in zip(other.images, y, strict=True) if np.isnan(row).any()]
    if empty and task.metric.against == "reference" and not task.against_baseline:
        what = "no face was found" if sees_faces(task.metric.extractor) else "nothing was found"
        raise MeasureError(
            f"{task.metric.name}: {what} in {len(empty)} of {len(other.images)} {other.name}: "
            f"{', '.join(empty[:5])}{', ...' if len(empty) > 5 else ''}; replace or remove them"
        )


def _others(task: Task, network: Extractor | None, arguments: Arguments, store: Store) -> Floats | None:
    """Fetch what compares the other pictures with each other; None if that would show nothing.

    Returns:
        Features (M, D) or, of a network of pairs, distances of some of the pictures to all: NaN to itself.
    """
    others = task.other.images if task.other and not task.against_baseline and not task.baseline else ()
    if task.metric.against != "reference" or len(others) < floors.LEAST:
        return None
    if task.paired_by in ("sorted", "named"):  # no other picture is a picture's own partner
        return None
    if network is None or task.metric.per == "set" or task.stat == "missing":
        return None
    if task.metric.takes == "features":
        return cast(Floats, arguments[1])
    if task.metric.takes != "distances":
        return None
    chosen = floors.chosen(len(others), len(task.images.images))
    pictures = [others[i] for i in chosen]
    distances = features.all_distances(pictures, others, cast(PairExtractor, network), store)
    distances[np.arange(len(chosen)), chosen] = np.nan
    return distances
