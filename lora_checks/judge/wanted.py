"""Say what rows need of the networks before it is fetched, so that it can be computed elsewhere.

`fetch` then finds it in the store. What is not foreseen here, it computes itself: this decides where the work
is done, and no value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.images.sets import LARGE
from lora_checks.judge.fetch import compared
from lora_checks.judge.task import Task
from lora_checks.networks import Extractor, ImageExtractor, PairExtractor, features
from lora_checks.networks.features import Rows
from lora_checks.networks.vlm.model import VisionModel


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one network of the policy says about images; it can be sent to another process."""

    slot: str  # of the policy's ``networks:``
    kind: Literal["images", "all", "pairs"]  # see `networks.features`
    x: tuple[ImageFile, ...]
    y: tuple[ImageFile, ...] = ()

    def rows(self, network: Extractor, store: Store) -> Rows:
        """Return where it is stored, and how it is made."""
        if self.kind == "images":
            return features.of_images(self.x, cast(ImageExtractor, network), store)
        of = features.of_all if self.kind == "all" else features.of_pairs
        return of(self.x, self.y, cast(PairExtractor, network), store)

    def part(self, indices: Sequence[int]) -> Wanted:
        """Return what is wanted of some of the images."""
        y = tuple(self.y[i] for i in indices) if self.kind == "pairs" else self.y
        return replace(self, x=tuple(self.x[i] for i in indices), y=y)


class Elsewhere(Protocol):
    """Other processes that compute what networks say, and put it into the store."""

    def begin(self, wanted: Sequence[Wanted], network: Extractor) -> object:
        """Ask for what the store lacks; do not wait for it."""
        ...

    def finish(self, wanted: Sequence[Wanted], network: Extractor) -> None:
        """Ask for what the store lacks, and wait for it. What they cannot do is left to this process.

        Raises:
            MeasureError: Several of them failed.
        """
        ...


def of_task(task: Task, slot: str, network: Extractor | None) -> list[Wanted]:
    """Return what a task needs of a network about the images that are judged, and about the base's."""
    takes = task.metric.takes
    if network is None or isinstance(network, VisionModel) or takes in ("picture", "pair"):
        return []
    tasks = [task, *([replace(task, images=task.baseline)] if task.baseline is not None else [])]
    of_one = _distances if takes == "distances" else _features
    found = [wanted for one in tasks for wanted in of_one(one, slot)]
    return [wanted for wanted in found if max(len(wanted.x), len(wanted.y)) < LARGE]


def _features(task: Task, slot: str) -> Iterator[Wanted]:
    yield Wanted(slot, "images", task.images.images)
    if task.other is not None and task.against_baseline:
        yield Wanted(slot, "images", task.other.images)


def _distances(task: Task, slot: str) -> Iterator[Wanted]:
    kind, pictures = compared(task)
    yield Wanted(slot, kind, task.images.images, tuple(pictures))
