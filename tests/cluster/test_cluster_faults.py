"""Workers that die, hang or run out of memory: the images are the same, none is lost, none made twice."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import cluster_world
import pytest
from cluster_world import clustered, digests, harmed, lora, whole

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion.cluster.worker import Painted, Worker

FIVE = [random.Random(seed).uniform(0.0, 1.2) for seed in range(5)]  # seconds after the first image


class Forgetful(Worker):
    """Runs out of memory at its first block, unless a file says that another did before."""

    def paint(self, specs, lora, wanted):  # type: ignore[no-untyped-def]
        marker = self._setup.store.root / "forgetful"
        if not marker.exists():
            marker.touch()
            raise MemoryError("no memory for this test")
        return super().paint(specs, lora, wanted)


class Stopped(Worker):
    """Hangs in the middle of its first block of a LoRA, unless a file says that another did before."""

    def paint(self, specs, lora, wanted):  # type: ignore[no-untyped-def]
        marker = self._setup.store.root / "stopped"
        if lora is not None and not marker.exists():
            super().paint(specs, lora, wanted[:1])
            marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().paint(specs, lora, wanted)


class Useless(Worker):
    def paint(self, *_: object) -> Painted:  # type: ignore[no-untyped-def]
        raise OSError(5, "the disk of this node is broken")


@pytest.mark.parametrize("after", FIVE)
def test_a_killed_worker_costs_nothing_but_time(
    after: float, address: str, tmp_path: Path, plain: list[str]
) -> None:
    store = tmp_path / "store"
    with clustered(tmp_path, store, address) as (run, cluster):
        began: list[float] = []

        def due() -> bool:
            if not began and any(store.glob("images/*/*.png")):
                began.append(time.monotonic())
            return bool(began) and time.monotonic() - began[0] > after

        with harmed(cluster, signal.SIGKILL, due) as killed:
            assert digests(run, lora()) == plain
        assert killed
    assert whole(store)
    assert not list(store.glob("locks/*"))


@pytest.mark.usefixtures("by_value")
def test_the_only_worker_hangs_and_is_replaced(address: str, tmp_path: Path, plain: list[str]) -> None:
    store = tmp_path / "store"
    with clustered(tmp_path, store, address, Stopped, timeout=20, workers=1) as (run, cluster):
        assert digests(run, lora()) == plain
        assert cluster.crew is not None
        processes = [one.process for one in cluster.crew.nodes]
    assert int((store / "stopped").read_text()) not in processes
    assert whole(store)


@pytest.mark.usefixtures("by_value")
def test_the_only_worker_has_no_memory_and_is_replaced(
    address: str, tmp_path: Path, plain: list[str]
) -> None:
    store = tmp_path / "store"
    with clustered(tmp_path, store, address, Forgetful, workers=1) as (run, _):
        assert digests(run, lora()) == plain
    assert whole(store)


@pytest.mark.usefixtures("by_value")
def test_after_three_tries_the_error_names_node_item_and_cause(
    address: str, tmp_path: Path, node: str
) -> None:
    with (
        clustered(tmp_path, tmp_path / "store", address, Useless) as (run, _),
        pytest.raises(GenerationError) as raised,
    ):
        digests(run, lora())
    text = str(raised.value)
    # Every block fails; which of them fails three times first depends on the workers' pace.
    assert re.match(r"good, 2 images from prompt '(red|green|purple)' \(noise seed \d+\) on: ", text)
    assert "given up after 3 tries" in text
    assert text.count(f"on {node} (process ") == 3
    assert "the disk of this node is broken" in text


@pytest.fixture
def by_value() -> None:
    """Let workers have the classes of this file, which they cannot import."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    cloudpickle.register_pickle_by_value(cluster_world)
