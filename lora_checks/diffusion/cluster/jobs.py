"""Jobs for the workers of a cluster, and the order in which they are handed out."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_checks.core.errors import GenerationError, LoraChecksError

TRIES = 3  # of a job, on different workers where there are several
ASKED, AHEAD = 0, 1  # what this process waits for, before what it will ask for later


@dataclass(eq=False)
class Job:
    """One call of a worker's method.

    The future gives what the method returned, or None if another process of the store has the files in work.
    """

    key: Hashable  # two jobs of one key are the same job
    method: str  # of `Worker`
    arguments: tuple[Any, ...]
    what: str  # for people: "good, 8 images from red/1 on"
    group: str = ""  # what fails as one: the rest of it is not begun
    lora: str = ""  # what has to be on the worker's base; "" for a job that any worker can begin at once
    order: int = ASKED
    images: int = 0
    paths: Sequence[Path] = ()  # the files that it makes, claimed while it is at work
    files: Sequence[Path] = ()  # of the LoRAs that it needs
    finished: Callable[[Any], None] = lambda _: None  # called with the result before the future has it
    error: type[LoraChecksError] = GenerationError  # raised when no worker could do it
    future: Future[Any] = field(default_factory=Future)
    faults: list[str] = field(default_factory=list)  # each worker that failed, and why
    avoid: set[int] = field(default_factory=set)  # those workers' numbers
    claims: ExitStack = field(default_factory=ExitStack)  # on its files, from its first try to its end

    @property
    def given_up(self) -> LoraChecksError:
        """The error of a job that failed too often."""
        return self.error(f"{self.what}: given up after {len(self.faults)} tries: {'; '.join(self.faults)}")


class Queue:
    """The jobs that wait; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._known: dict[Hashable, Job] = {}
        self._waiting: list[tuple[int, int, Job]] = []
        self._on: dict[int, str] = {}  # by worker, the LoRA of its last job that needed one
        self._numbers = itertools.count()
        self._closed: LoraChecksError | None = None

    def submit(self, job: Job) -> Job:
        """Add a job, or return the one of the same key; it moves forward if it is more urgent now."""
        with self._lock:
            is_new = job.key not in self._known
            known = self._known.setdefault(job.key, job)
            if self._closed is not None:
                _fail(known, self._closed)
            elif is_new:
                self._waiting.append((job.order, next(self._numbers), job))
            elif known.order > job.order:
                known.order = job.order
                self._waiting = [
                    (min(order, job.order), number, one) if one is known else (order, number, one)
                    for order, number, one in self._waiting
                ]
            self._waiting.sort(key=lambda entry: entry[:2])
            self._lock.notify_all()
            return known

    def take(self, worker: int, others: Collection[int]) -> Job | None:
        """Return the most urgent job for a worker; None if there is none.

        Of several that are equally urgent, it gets one that needs no LoRA, else one of the LoRA that it has,
        else one of the LoRA that the fewest workers have: putting one on takes time, and its file is fetched.
        A job that failed on it is left to the ``others`` that it has not failed on.
        """
        with self._lock:
            fit = [
                entry
                for entry in self._waiting
                if worker not in entry[2].avoid or not set(others) - entry[2].avoid
            ]
            if not fit:
                return None
            again = fit[0][1] < 0
            held = Counter(self._on[one] for one in others if one in self._on)
            entry = fit[0] if again else min(fit, key=lambda one: (one[0], *self._swap(worker, one[2], held)))
            job = entry[2]
            self._waiting.remove(entry)
            if job.lora:
                self._on[worker] = job.lora
            self._lock.notify_all()
            return job

    def _swap(self, worker: int, job: Job, held: Counter[str]) -> tuple[int, int]:
        """Return what speaks against giving the job to the worker: a LoRA to put on, which others have."""
        if not job.lora:
            return 0, 0
        return (1, 0) if self._on.get(worker) == job.lora else (2, held[job.lora])

    def again(self, job: Job) -> None:
        """Put a job back, before all others."""
        with self._lock:
            self._waiting.insert(0, (ASKED, -1, job))

    def drop(self, group: str, error: LoraChecksError) -> None:
        """Fail what waits of a group: a LoRA that does not fit gets no more."""
        with self._lock:
            dropped = [job for _, _, job in self._waiting if group and job.group == group]
            self._waiting = [entry for entry in self._waiting if entry[2] not in dropped]
        for job in dropped:
            _fail(job, error)

    def wait_until_short(self, most: int, seconds: float) -> bool:
        """Wait until fewer than ``most`` jobs wait, for so many seconds; return whether that is so."""
        with self._lock:
            return self._lock.wait_for(lambda: len(self._waiting) < most or bool(self._closed), seconds)

    def close(self, error: LoraChecksError) -> None:
        """Fail every job that waits, and each that comes later."""
        with self._lock:
            self._closed = error
            left, self._waiting = [job for _, _, job in self._waiting], []
            self._lock.notify_all()
        for job in left:
            _fail(job, error)

    def __len__(self) -> int:
        with self._lock:
            return len(self._waiting)


def _fail(job: Job, error: LoraChecksError) -> None:
    if not job.future.done():
        job.future.set_exception(error)
