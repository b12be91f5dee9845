"""Describe what to measure: which metric, on which images, against what, summarised how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lora_checks.core import direction
from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import Better, ImageFile, ImageSet, Metric, Pairing, PromptSet, Stat, Threshold
from lora_checks.core.records.labels import Labelled
from lora_checks.core.records.questions import Question
from lora_checks.networks import ImageExtractor
from lora_checks.stats import intervals, summary


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to measure: which metric, on which images, against what, summarised how."""

    metric: Metric
    images: ImageSet
    other: ImageSet | None = None  # references or baseline images, where the metric compares with pictures
    stat: Stat = "mean"
    pairing: Pairing | Literal[""] = ""  # "" is the metric's default
    wanted: Better | Literal[""] = ""  # which values of an image are better; "": the metric's own
    texts: tuple[str, ...] = ()  # what a metric against texts chooses among
    at: float | None = None  # the limit of a share
    baseline: ImageSet | None = None  # the same images without the LoRA: measure the gain over them
    on: str = ""  # the tag by which the images were chosen
    sides: Literal[1, 2] = 2
    question: Question | None = None  # what a vision model is asked
    finder: ImageExtractor | None = None  # what finds the nearest reference for it
    labels: Mapping[str, Labelled] = field(default_factory=dict)  # of the other pictures, by name
    confidence: float = intervals.CONFIDENCE  # of one interval; several interim analyses make 95 % together

    @property
    def paired_by(self) -> Pairing:
        """Return how each image is paired with the pictures that it is compared with."""
        if self.against_baseline:
            return "sorted"
        return self.pairing or self.metric.pairing

    @property
    def against_baseline(self) -> bool:
        """Return whether each image is compared with its counterpart without the LoRA."""
        return self.other is not None and self.other.name == BASELINE

    @property
    def ask(self) -> summary.Ask:
        """Return how to summarise the values of the images."""
        lowest = (self.wanted or self.metric.better) == "higher"
        return summary.Ask(self.stat, self.at, lowest, self.sides, self.confidence)

    @property
    def against(self) -> str:
        """Name what the images are compared with: "references (24)"; "" for nothing."""
        if self.other is None:
            return ""
        if self.other.statistics:
            return f"{self.other.name} ({self.other.statistics.name})"
        return f"{self.other.name} ({len(self.other.images)})"

    @property
    def groups(self) -> list[str]:
        """Return the prompt of each image, the sampling unit; a picture without a prompt is its own group."""
        return [image.prompt.id if image.prompt else image.name for image in self.images.images]

    @property
    def pictures(self) -> ImageSet:
        """Return what the images are compared with.

        Raises:
            ConfigError: The metric compares with pictures and the task names none.
        """
        if self.other is None:
            raise ConfigError(
                f"{self.metric.name} compares images with pictures; name the folder in 'against'"
            )
        return self.other


def task_of(
    row: Threshold, metric: Metric, images: ImageSet, other: ImageSet | None, baseline: ImageSet | None
) -> Task:
    """Return the task that a row of the policy sets.

    Args:
        row: The row.
        metric: The row's metric.
        images: The images that the row is about.
        other: The pictures that the row compares them with.
        baseline: The counterparts of ``images`` without the LoRA, for a row that asks for a gain.
    """
    one_limit = (row.min is None) != (row.max is None)
    return Task(
        metric,
        images,
        other,
        row.stat,
        row.pairing,
        direction.of_images(row.min, row.max, row.stat, metric.better),
        row.texts,
        row.at,
        baseline,
        row.on,
        question=row.question,
        sides=1 if one_limit and row.rule == "bound" else 2,
    )


def prompt_text(task: Task, image: ImageFile, prompts: PromptSet) -> str:
    """Return an image's prompt with the class words in place of the trigger.

    Raises:
        ConfigError: The image has no prompt.
    """
    if image.prompt is None:
        raise ConfigError(f"{task.metric.name} needs the prompt of {image.name}, which has none")
    text = image.prompt.text
    return text.replace(prompts.trigger, prompts.class_words) if prompts.trigger else text


def partners(task: Task, other: Sequence[ImageFile]) -> list[int]:
    """Return the index of each image's only partner: by order for "sorted", by prompt id for "named".

    Raises:
        ConfigError: An image has no partner.
    """
    if task.paired_by == "sorted":
        if len(other) != len(task.images.images):
            raise ConfigError(
                f"{task.metric.name}: pairing 'sorted' needs as many references as images, and there are "
                f"{len(other)} for {len(task.images.images)}; use pairing 'nearest'"
            )
        return list(range(len(other)))
    stems = {image.path.stem: i for i, image in enumerate(other)}
    absent = [group for group in dict.fromkeys(task.groups) if group not in stems]
    if absent:
        raise ConfigError(
            f"{task.metric.name}: pairing 'named' needs a picture named after each prompt's id, and "
            f"{task.other.name if task.other else ''} has none named {', '.join(absent[:5])}"
        )
    return [stems[group] for group in task.groups]
