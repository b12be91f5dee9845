"""The workers of a cluster as a gate needs them: they make images, and ask the networks about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from lora_checks import networks
from lora_checks.core.errors import ConfigError, PrerequisiteError, first_line
from lora_checks.core.records import ImageFile
from lora_checks.core.store import to_npy
from lora_checks.diffusion.cluster.worker import Worker
from lora_checks.judge.wanted import Wanted
from lora_checks.networks import Extractor, self_test


@dataclass(frozen=True)
class Identity:
    """What has to be equal for two processes to get the same numbers on the same hardware."""

    network: str  # its id
    device: str  # "cpu", "cuda", "mps"
    packages: tuple[str, ...]

    def difference(self, other: Identity) -> str:
        """Say what this process has and the ``other`` has not; "" if they are equal."""
        if self.network != other.network:
            return f"it has other weights or settings: {self.network}, not {other.network}"
        if self.device != other.device:
            return f"it computes on {self.device}, not {other.device}"
        mine, others = set(self.packages), set(other.packages)
        odd = ", ".join(sorted(mine - others)) or "none", ", ".join(sorted(others - mine)) or "none"
        return "" if mine == others else f"it has other packages: {odd[0]}, not {odd[1]}"


@dataclass(frozen=True)
class Lacking:
    """Why this worker cannot compute what the process that judges would."""

    why: str


class GateWorker(Worker):
    """A worker that also computes what networks say, on its device."""

    _networks: dict[str, Extractor] | None = None  # by slot

    def measure(
        self, wanted: Wanted, identity: Identity, root: Path, places: Sequence[int]
    ) -> Lacking | None:
        """Compute what a network says about the images of ``places``, and store it.

        Args:
            wanted: Which network, and which images.
            identity: Of the network in the process that judges.
            root: That process's store; the images in it are looked for in this one's.
            places: Indices into the rows of ``wanted``.
        """
        store, source = self._source.store, self._source
        try:
            network = self._network(wanted.slot)
            if difference := identity_of(network).difference(identity):
                return Lacking(difference)
            wanted = replace(wanted, x=moved(wanted.x, root, store.root), y=moved(wanted.y, root, store.root))
            images = (*wanted.x, *wanted.y)
            store.bring(image.path for image in images)
            for image in images:
                if not image.path.exists():
                    return Lacking(f"there is no {image.path}")
            if "studio" in vars(source):
                source.studio.rest()  # the networks may need the room of the base
            rows = wanted.rows(network, store)
            store.bring(rows.paths[i] for i in places)
            absent = [i for i in places if not rows.paths[i].exists()]
            for i, row in zip(absent, rows.make(absent) if absent else (), strict=True):
                store.put(rows.paths[i], to_npy(row), durable=False)
            store.settle()
        except (PrerequisiteError, ConfigError, ImportError) as error:
            return Lacking(first_line(error))
        return None

    def _network(self, slot: str) -> Extractor:
        self._networks = self._networks or {}
        if slot not in self._networks:
            setup, folder = self._setup, self._source.store.root / "models"
            self._networks[slot] = networks.build(
                slot, setup.policy.networks[slot], setup.device, cache=folder
            )
        return self._networks[slot]


def identity_of(network: Extractor) -> Identity:
    """Return the identity of a network in this process."""
    return Identity(network.id, networks.device_of(network), _packages())


@cache
def _packages() -> tuple[str, ...]:
    return self_test.libraries()


def moved(images: Sequence[ImageFile], root: Path, here: Path) -> tuple[ImageFile, ...]:
    """Return the images with those of the store ``root`` in the store ``here``."""
    return tuple(
        replace(image, path=here / image.path.relative_to(root)) if image.path.is_relative_to(root) else image
        for image in images
    )
