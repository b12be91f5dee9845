"""Ask a vision model the row's question about each image, and about the references where it names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, PromptSet
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Progress, Store
from lora_checks.judge.task import Task, partners, prompt_text
from lora_checks.metrics.vectors import cosines
from lora_checks.networks.features import image_features
from lora_checks.networks.vlm.model import Asked, VisionModel, unanswered, worth
from lora_checks.networks.vlm.question import filled

Floats = NDArray[np.float64]


def values(
    task: Task, model: VisionModel, prompts: PromptSet, store: Store, progress: Progress | None
) -> tuple[Floats, str]:
    """Return what each reply is worth, and why some have no answer.

    The values are (N,), or (N, M) with NaN for the references that were not shown.

    Raises:
        ConfigError: The row names no question.
        MeasureError: The budget is spent, or the model cannot be asked.
    """
    asked, places = _asked(task, prompts, store)
    replies = model.replies(asked, store, progress)
    found, why = worth(asked, replies), unanswered(replies)
    if not places:
        return found, why
    grid: Floats = np.full((len(task.images.images), len(task.pictures.images)), np.nan)
    grid[tuple(np.array(places).T)] = found
    return grid, why


def noise(task: Task, model: VisionModel, prompts: PromptSet, store: Store) -> float | None:
    """Return the standard deviation of the model's own answers to one question about one picture.

    Some questions are asked a second time. None for a model that always answers alike, or too few answers.
    """
    asked, _ = _asked(task, prompts, store)
    first = [asked[i] for i in evenly(len(asked), model.repeat)] if model.repeat else []
    again = [replace(one, repeat=1) for one in first]
    if not again:
        return None
    changes = model.values(first, store) - model.values(again, store)
    there = changes[~np.isnan(changes)]
    return float(np.sqrt((there**2).mean() / 2)) if len(there) > 1 else None


def _asked(task: Task, prompts: PromptSet, store: Store) -> tuple[list[Asked], list[tuple[int, int]]]:
    """Return what to ask and, of a question about two pictures, the image and reference of each."""
    question, images = question_of(task), task.images.images
    texts = [text_for(task, question, image, prompts) for image in images]
    if question.reference == "none":
        return [Asked(question, text, (image,)) for text, image in zip(texts, images, strict=True)], []
    others = task.pictures.images
    chosen = _chosen(task, question, others, store)
    places = [(i, j) for i in range(len(images)) for j in chosen[i]]
    return [Asked(question, texts[i], (images[i], others[j])) for i, j in places], places


def question_of(task: Task) -> Question:
    if task.question is None:
        raise ConfigError(f"{task.metric.name} needs a question; name one of the policy's with 'question'")
    return task.question


def text_for(task: Task, question: Question, image: ImageFile, prompts: PromptSet) -> str:
    """Return the question's text about an image; its prompt is needed only if the text has it."""
    words = {"class_words": prompts.class_words or "subject"}
    if question.of_prompt:
        words["prompt"] = prompt_text(task, image, prompts)
    return filled(question, words)


def _chosen(task: Task, question: Question, others: Sequence[ImageFile], store: Store) -> list[list[int]]:
    """Return which references each image is shown with."""
    count = len(task.images.images)
    if task.paired_by in ("sorted", "named"):
        return [[j] for j in partners(task, others)]
    if question.reference == "each":
        return [evenly(len(others), question.most)] * count
    if task.finder is None:
        raise ConfigError(f"question '{question.name}': name the network that finds the nearest reference")
    x, y = (image_features(some, task.finder, store) for some in (task.images.images, others))
    likeness = np.nan_to_num(cosines(x, y), nan=-2.0)  # no face: the first reference will do
    return [[int(j)] for j in likeness.argmax(axis=1)]


def evenly(count: int, most: int | None) -> list[int]:
    """Return at most ``most`` of the indices below ``count``, evenly apart."""
    if most is None or most >= count:
        return list(range(count))
    return [int(i) for i in np.linspace(0, count - 1, most).round()]
