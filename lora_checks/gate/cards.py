"""Give each worker of pytest-xdist a GPU of its own: two pipelines on one GPU run out of memory.

A worker locks its GPU. The lock ends with the process, so a worker that replaces a crashed one gets its GPU.
"""

from __future__ import annotations

import hashlib
import tempfile
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from lora_checks.core import device
from lora_checks.core.errors import ConfigError
from lora_checks.gate.run import GateRun

ANY = ("auto", "cuda")  # values of --lora-device that let the gate choose the GPU
CARD = pytest.StashKey[FileLock]()  # held until the process ends


def own(config: pytest.Config) -> str:
    """Return the device of this process: for a worker, a GPU that no other worker has.

    Worker i gets the i-th GPU that CUDA_VISIBLE_DEVICES allows. If ``--lora-device`` names a GPU, all workers
    share it.

    Raises:
        ConfigError: There are fewer GPUs than workers.
    """
    asked: str = config.option.lora_device
    workers = count(config)
    if workers < 2 or asked not in ANY:
        return asked
    cards = device.accelerators(asked)
    if not cards:
        return asked
    if len(cards) < workers:
        raise ConfigError(
            f"-n: {workers} workers would share {', '.join(cards)}, but each needs its own; "
            f"use -n {len(cards)}, or --lora-device {cards[0]} to put all of them on that one"
        )
    worker = getattr(config, "workerinput", None)
    return asked if worker is None else _taken(config, cards, worker)


def count(config: pytest.Config) -> int:
    """Return the number of xdist's workers, in a worker or in the controller; 0 without xdist."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        return int(worker["workercount"])
    if not getattr(config.option, "tx", None) or config.getoption("dist", "no") == "no":
        return 0
    from xdist.workermanage import parse_tx_spec_config  # type: ignore[import-untyped]

    return len(parse_tx_spec_config(config))


def _taken(config: pytest.Config, cards: list[str], worker: dict[str, str]) -> str:
    """Lock the worker's own GPU, or a free one if it replaces another worker."""
    place = worker["workerid"].removeprefix("gw")
    first = int(place) if place.isdigit() and int(place) < len(cards) else 0
    for card in cards[first:] + cards[:first]:
        name = hashlib.sha256(f"{worker['testrunuid']} {card}".encode()).hexdigest()
        lock = FileLock(Path(tempfile.gettempdir(), f"lora_checks-{name}.lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        config.stash[CARD] = lock
        config.add_cleanup(partial(_release, lock))
        return card
    raise ConfigError(f"-n: no accelerator is free for worker {worker['workerid']} ({', '.join(cards)})")


def _release(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


def line(config: pytest.Config, run: GateRun) -> str:
    """Say in one line what the run computes on, and how it saves memory."""
    facts, workers = run.source.facts, count(config)
    cards = device.accelerators(run.device)[:workers] if config.option.lora_device in ANY else []
    where = ", ".join(cards) if len(cards) > 1 else device.hardware(run.device)
    parts = [f"computes on {where}", str(facts.get("dtype", ""))]
    if size := facts.get("batch_size"):
        parts.append(f"{size} images at a time")
    if (offload := facts.get("offload", "none")) not in ("none", "auto"):
        parts.append(f"--lora-offload {offload}")
    parts += facts.get("save_memory", [])
    if facts.get("compiled"):
        parts.append("compiled" if not facts["compiled"].startswith("no") else "not compiled")
    if workers > 1:
        parts.append(f"{workers} workers")
    return f"lora_checks: {', '.join(filter(None, parts))}"
