"""A cluster as a run uses it: connected, its nodes checked, its workers at work, and ended."""

from __future__ import annotations

import os
import socket
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError
from lora_checks.core.remote.place import Place
from lora_checks.core.remote.shared import SharedStore
from lora_checks.core.store import Store
from lora_checks.diffusion.cluster.crew import Crew
from lora_checks.diffusion.cluster.ray_client import LOCAL, Ray, Share, check_address
from lora_checks.diffusion.cluster.setup import Node, Setup, this_node
from lora_checks.diffusion.cluster.studio import ClusterStudio, files_of
from lora_checks.diffusion.cluster.worker import Worker
from lora_checks.diffusion.generated import GeneratedImages

PROBE = "cluster.txt"  # in the store: by its text a node tells that it sees this store and no other


@dataclass(frozen=True)
class Asked:
    """The options of a cluster."""

    address: str  # of --lora-cluster
    workers: int | None = None
    timeout: float | None = None  # seconds
    device: str = "auto"  # of --lora-device

    def __post_init__(self) -> None:
        check_address(self.address)
        if self.workers is not None and self.workers < 1:
            raise ConfigError("--lora-cluster-workers must be 1 or more")
        if self.timeout is not None and not self.timeout > 0:
            raise ConfigError("--lora-cluster-timeout must be more than 0 seconds")


class Cluster:
    """The workers of one run; `open` starts them, `close` ends them."""

    def __init__(
        self, asked: Asked, source: GeneratedImages, offline: Any = None, worker: type = Worker
    ) -> None:
        self._asked, self._source, self._worker, self._offline = asked, source, worker, offline
        self._say: Callable[[str], None] = source.say
        self._ray: Ray | None = None
        self._studio: ClusterStudio | None = None
        self.crew: Crew | None = None
        self._nodes: list[Node] = []
        source.elsewhere = self.studio

    def studio(self) -> ClusterStudio:
        """Return what stands in for this process's pipeline. Raises `ConfigError` before `open`."""
        if self._studio is None:
            raise ConfigError("--lora-cluster: the cluster is not open")
        return self._studio

    @property
    def facts(self) -> dict[str, Any]:
        """Describe the cluster for the record of the run."""
        workers = Counter(node.name for node in self._nodes)
        hardware = {node.name: node.hardware for node in self._nodes}
        return {
            "address": self._asked.address,
            "nodes": [
                {"name": name, "hardware": hardware[name], "workers": workers[name]}
                for name in sorted(workers)
            ],
        }

    def open(self) -> None:
        """Connect, start the workers, and check that their results would be this process's.

        Raises:
            ConfigError, PrerequisiteError: There is no such cluster, or a node of it is not like this one.
        """
        source = self._source
        here = this_node(socket.gethostname(), os.getpid(), source.device, source.machine)
        self._say(f"--lora-cluster {self._asked.address}: connects, and starts the workers")
        self._ray = Ray(self._asked.address)
        try:
            workers, share = self._shares(self._ray)
            crew = Crew(
                self._ray,
                self._worker,
                self._setup(self._ray),
                here,
                source.store,
                self._asked.timeout,
            )
            self.crew = crew
            self._nodes = crew.start(workers, share)
        except BaseException:
            self.close()
            raise
        self._studio = ClusterStudio(crew, source.store, source.memory, self._say)
        names = Counter(node.name for node in self._nodes)
        self._say("workers: " + ", ".join(f"{n} on {name}" for name, n in sorted(names.items())))

    def close(self) -> None:
        """End the workers, and a cluster that was started here."""
        if self._studio is not None:
            self._studio.stop()
        if self.crew is not None:
            self.crew.stop()
        if self._ray is not None:
            self._ray.close()
        self._ray = self.crew = None

    def _setup(self, ray: Ray) -> Setup:
        source = self._source
        return Setup(
            source.policy,
            _place(source.store),
            source.machine.device,
            source.dtype,
            source.batch_size,
            source.memory,
            source.companions,
            self._shipped(ray),
            self._offline,
            _probe(source.store),
        )

    def _shipped(self, ray: Ray) -> dict[Path, Any]:
        """Return the companions' files as the cluster has them, for nodes that do not see ours."""
        if self._asked.address == LOCAL:
            return {}
        return {path: ray.put(path.read_bytes()) for path in files_of(*self._source.companions)}

    def _shares(self, ray: Ray) -> tuple[int, Share]:
        """Return how many workers there will be, and what each gets: a GPU, or its share of the cores."""
        nodes, gpus = ray.resources()
        device, asked = self._source.machine.device, self._asked.workers
        if gpus and device == "cuda":
            return asked or int(gpus), Share(1, 1)
        if device != "cpu":
            raise ConfigError(
                f"--lora-cluster: none of its nodes has a GPU, and this process computes on {device}; say "
                "--lora-device cpu"
            )
        if gpus and self._asked.device != "cpu":
            raise ConfigError(
                f"--lora-cluster: its nodes have {gpus:.0f} GPUs, and this process has none: run it on "
                "one of them, or say --lora-device cpu"
            )
        cores = [int(node.get("CPU", 0)) for node in nodes if node.get("CPU", 0) >= 1]
        if asked is None:
            return len(cores), Share(min(cores, default=1), 0)
        each = max(1, min(max(cores, default=1), sum(cores) // asked))
        return asked, Share(each, 0)


def _place(store: Store) -> Place:
    return store.place if isinstance(store, SharedStore) else Place(store.root.absolute())


def _probe(store: Store) -> tuple[Path, str] | None:
    """Return a file of the store and its text. It stays: workers that replace others look for it, too.

    None for a store at a URL, which each worker asks itself.
    """
    if isinstance(store, SharedStore):
        return None
    path = store.root.absolute() / PROBE
    store.put(path, uuid.uuid4().hex.encode())
    return path, path.read_text()
