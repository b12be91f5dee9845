"""Runs whose images a cluster makes, and ways to harm its workers."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from world import MINIATURE, made, write_policy

from lora_checks.core.errors import MeasureError
from lora_checks.core.filling import silent
from lora_checks.core.records import ImageFile, Lora
from lora_checks.core.remote.place import Place
from lora_checks.diffusion.cluster import Asked, Cluster
from lora_checks.diffusion.cluster.worker import Worker
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.gate.spread import Spread
from lora_checks.gate.workers import GateWorker
from lora_checks.images.decoded import Decoded
from lora_checks.lora.candidates import candidates
from lora_checks.policy.reading import load_policy

BATCH = 2
PROMPTS = 6


def lora(name: str = "good") -> Lora:
    path = MINIATURE / "loras" / f"{name}.safetensors"
    return next(iter(candidates([str(path)], None, path.parent).values())).read()


def opened(folder: Path, store: Path | Place, prompts: int = PROMPTS) -> GateRun:
    """A run in this process on the real miniature."""
    policy = load_policy(write_policy(folder / "policy", MINIATURE / "pipeline", prompts=prompts))
    return open_generating(policy, store, "cpu", "auto", BATCH, lambda _: silent, say=lambda _: None)


@contextmanager
def clustered(
    folder: Path,
    store: Path | Place,
    address: str,
    worker: type = Worker,
    timeout: float | None = None,
    prompts: int = PROMPTS,
    workers: int = 2,
) -> Iterator[tuple[GateRun, Cluster]]:
    """The same run, with workers on the cluster."""
    run = opened(folder, store, prompts)
    cluster = Cluster(Asked(address, workers, timeout), run.source, worker=worker)  # type: ignore[arg-type]
    run.store.enter()
    cluster.open()
    try:
        yield run, cluster
    finally:
        cluster.close()
        run.store.leave()


@contextmanager
def measuring(
    folder: Path, store: Path | Place, address: str, worker: type = GateWorker
) -> Iterator[tuple[GateRun, list[str]]]:
    """The same, and the workers are asked what networks say; what is said to people."""
    said: list[str] = []
    with clustered(folder, store, address, worker) as (run, cluster):
        run.measurer.elsewhere = Spread(cluster, run.store, lambda _: silent, said.append)
        yield run, said


def values(run: GateRun) -> dict[str, Any]:
    """Every row's measurement, field by field; of a row that cannot be measured, why."""
    images, found = run.images_of(lora()), dict[str, Any]()
    for row in run.policy.thresholds:
        try:
            found[row.name] = dataclasses.asdict(run.measurement(row, lora(), images))
        except MeasureError as error:
            found[row.name] = str(error)
    return found


class OfReferences(Decoded):
    """Refuses to decode an image that was generated."""

    def __init__(self, images: Sequence[ImageFile], keep: bool = True) -> None:
        assert not any(image.prompt for image in images), "this process looked at a generated image"
        super().__init__(images, keep)


def picture(path: Path) -> ImageFile:
    return ImageFile(path, "0" * 64, path.name)


def digests(run: GateRun, one: Lora) -> list[str]:
    """Of all images of the LoRA, which are made if the store lacks them."""
    return [image.sha256 for image in run.images_of(one).images]


def whole(store: Path) -> bool:
    """Return whether each image of the LoRA, and the base's first, was made once."""
    counts = made(store)
    return set(counts.values()) == {1} and len(counts) == PROMPTS + 1


@contextmanager
def harmed(cluster: Cluster, signals: int, when: Callable[[], bool]) -> Iterator[list[int]]:
    """Send a signal to one worker once, as soon as ``when`` holds; give the processes it was sent to."""
    sent: list[int] = []

    def harm() -> None:
        while not when():
            time.sleep(0.005)
        assert cluster.crew is not None
        sent.append(cluster.crew.nodes[0].process)
        os.kill(sent[0], signals)

    thread = threading.Thread(target=harm, daemon=True)
    thread.start()
    yield sent
    thread.join(60)
