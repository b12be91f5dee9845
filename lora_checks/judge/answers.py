"""Ask a vision model the row's question about each image, and about the references where it names them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, PromptSet
from lora_checks.core.records.questions import Question
from lora_checks.core.store import Progress, Store
from lora_checks.judge.task import Task, partners, prompt_text
from lora_checks.metrics.vectors import cosines
from lora_checks.networks.features import image_features
from lora_checks.networks.vlm.model import Asked, VisionModel
from lora_checks.networks.vlm.question import filled

Floats = NDArray[np.float64]


def values(
    task: Task, model: VisionModel, prompts: PromptSet, store: Store, progress: Progress | None
) -> Floats:
    """Return what each reply is worth: (N,), or (N, M) with NaN for the references that were not shown.

    Raises:
        ConfigError: The row names no question.
        MeasureError: The budget is spent, or the model cannot be asked.
    """
    question, images = question_of(task), task.images.images
    texts = [text_for(task, question, image, prompts) for image in images]
    if question.reference == "none":
        asked = [Asked(question, text, (image,)) for text, image in zip(texts, images, strict=True)]
        return model.values(asked, store, progress)
    others = task.pictures.images
    chosen = _chosen(task, question, others, store)
    places = [(i, j) for i in range(len(images)) for j in chosen[i]]
    asked = [Asked(question, texts[i], (images[i], others[j])) for i, j in places]
    grid: Floats = np.full((len(images), len(others)), np.nan)
    grid[tuple(np.array(places).T)] = model.values(asked, store, progress)
    return grid


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
