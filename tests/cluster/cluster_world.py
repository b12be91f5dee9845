"""Runs whose images a cluster makes, and ways to harm its workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from world import MINIATURE, write_policy

from lora_checks.core.filling import silent
from lora_checks.core.records import ImageFile, Lora
from lora_checks.diffusion.cluster import Asked, Cluster
from lora_checks.diffusion.cluster.worker import Worker
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.lora.candidates import candidates
from lora_checks.policy.reading import load_policy

BATCH = 2
PROMPTS = 6


def lora(name: str = "good") -> Lora:
    path = MINIATURE / "loras" / f"{name}.safetensors"
    return next(iter(candidates([str(path)], None, path.parent).values())).read()


def opened(folder: Path, store: Path, prompts: int = PROMPTS) -> GateRun:
    """A run in this process on the real miniature."""
    policy = load_policy(write_policy(folder / "policy", MINIATURE / "pipeline", prompts=prompts))
    return open_generating(policy, store, "cpu", "auto", BATCH, lambda _: silent, say=lambda _: None)


@contextmanager
def clustered(
    folder: Path,
    store: Path,
    address: str,
    worker: type = Worker,
    timeout: float | None = None,
    prompts: int = PROMPTS,
    workers: int = 2,
) -> Iterator[tuple[GateRun, Cluster]]:
    """The same run, with workers on the cluster."""
    run = opened(folder, store, prompts)
    cluster = Cluster(Asked(address, workers, timeout), run.source, worker=worker)  # type: ignore[arg-type]
    cluster.open()
    try:
        yield run, cluster
    finally:
        cluster.close()


def picture(path: Path) -> ImageFile:
    return ImageFile(path, "0" * 64, path.name)


def digests(run: GateRun, one: Lora) -> list[str]:
    """Of all images of the LoRA, which are made if the store lacks them."""
    return [image.sha256 for image in run.images_of(one).images]


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
