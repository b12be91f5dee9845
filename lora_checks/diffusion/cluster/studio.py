"""Stand in for the pipeline of this process: blocks, proofs and trials become jobs of the workers."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

from lora_checks.core.errors import DamagedError, GenerationError
from lora_checks.core.filling import POLL_SECONDS, regenerated
from lora_checks.core.records import ImageSpec, Lora, Proof
from lora_checks.core.store import Progress, Store
from lora_checks.core.words import count
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.cluster.crew import Crew, told, wait
from lora_checks.diffusion.cluster.jobs import ASKED, Job
from lora_checks.diffusion.cluster.worker import Answer, Painted
from lora_checks.diffusion.generate import Rendered
from lora_checks.images import made, png

STATUS_SECONDS = 30.0  # between two accounts of what every worker does
WAITING = 4  # jobs for each worker that wait, so that none waits for this process to measure


class ClusterStudio:
    """A `diffusion.renderer.Renderer` whose blocks are made by the workers, many at a time."""

    def __init__(self, crew: Crew, store: Store, memory: Memory, say: Callable[[str], None]) -> None:
        self._crew, self._store, self._say = crew, store, say
        self.memory = memory
        self._owners: dict[str, Job] = {}  # by the digest of an image: the job that makes it
        self._numbers, self._lock = itertools.count(), threading.Lock()
        self._told = time.monotonic()
        self._ahead: threading.Thread | None = None
        self._stopped = threading.Event()
        crew.notify = self._note

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """Let a worker prove that ``lora`` is on the base with ``others``; see `Studio.prove`."""
        key = ("prove", lora.sha256, lora.scale, *((other.sha256, other.scale) for other in others))
        proof: Proof = self._done(
            Job(
                key,
                "prove",
                (lora, list(others)),
                f"the proof of {lora.name}",
                lora=lora.sha256,
                files=files_of(lora, *others),
            )
        )
        return proof

    def try_settings(self) -> None:
        """Let a worker try the policy's settings; see `Studio.try_settings`."""
        self._done(Job("settings", "try_settings", (), "the trial of the settings"))

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[Rendered]:
        """Raise `GenerationError`: `prepare` has stored every image, unless a worker's store is another."""
        raise GenerationError(
            f"{_what(specs, lora)}: a worker has made it, but it is not in the store of this run; look at "
            "--lora-store, which has to be one folder or bucket for all nodes"
        )

    def crowded(self) -> bool:
        return False

    def rest(self) -> None:
        """This process holds no weights."""

    def prepare(
        self,
        specs: Sequence[ImageSpec],
        lora: Lora | None,
        blocks: Sequence[Sequence[int]],
        progress: Progress,
    ) -> None:
        """Let the workers make what the store lacks, and wait for it.

        Raises:
            GenerationError, LoraFileError: What the first failing block raised.
        """
        jobs = self.submit(specs, lora, blocks, ASKED)
        with progress(sum(job.images for job in jobs)) as advance:
            while jobs:
                self.wait(jobs, advance)
                others = [job for job in jobs if job.future.result() is None]
                if others:  # another process of this store makes them
                    time.sleep(POLL_SECONDS)
                jobs = self.submit(specs, lora, blocks, ASKED) if others else []

    def submit(
        self, specs: Sequence[ImageSpec], lora: Lora | None, blocks: Sequence[Sequence[int]], order: int
    ) -> list[Job]:
        """Queue the blocks of which the store lacks something; return their jobs, in order, at once."""
        before = made.of_other_versions(self._store, specs)
        self._store.bring([self._store.image(spec.digest) for spec in specs], fresh=False)
        with self._lock:
            jobs = [self._job(specs, lora, block, order, before) for block in blocks]
        return list(dict.fromkeys(job for found in jobs for job in found))

    def _job(
        self,
        specs: Sequence[ImageSpec],
        lora: Lora | None,
        block: Sequence[int],
        order: int,
        before: dict[str, tuple[str, ...]],
    ) -> list[Job]:
        """Return the jobs that make a block: earlier ones that make a part of it, and one for the rest."""
        together = [specs[i] for i in block]
        absent = [i for i, spec in enumerate(together) if self._is_absent(spec)]
        owners = {i: owner for i in absent if (owner := self._owner(together[i])) is not None}
        jobs = [self._crew.queue.submit(_moved(owner, order)) for owner in owners.values()]
        wanted = [i for i in absent if i not in owners]
        if not wanted:
            return jobs
        job = Job(
            ("paint", next(self._numbers)),
            "paint",
            (together, lora, wanted),
            _what(together, lora),
            group="base" if lora is None else f"{lora.sha256} {lora.scale}",
            lora="" if lora is None else lora.sha256,
            order=order,
            images=len(wanted),
            paths=[self._store.image(together[i].digest) for i in wanted],
            files=files_of(lora) if lora is not None else (),
            finished=lambda painted: self._enter(painted, together, before),
        )
        self._owners |= {together[i].digest: job for i in wanted}
        return [*jobs, self._crew.queue.submit(job)]

    def _is_absent(self, spec: ImageSpec) -> bool:
        """Return whether an image has to be made; remove a damaged one."""
        path = self._store.image(spec.digest)
        try:
            png.stored(path, spec, "")
        except FileNotFoundError:
            return True
        except DamagedError as error:
            self._store.say(regenerated([error]))
            self._store.remove_damaged(path)
            return True
        return False

    def _owner(self, spec: ImageSpec) -> Job | None:
        """Return the job that makes an image, or that failed to; None if it ended and the image is gone."""
        job = self._owners.get(spec.digest)
        ended = job is not None and job.future.done() and job.future.exception() is None
        return None if ended else job

    def _enter(
        self, painted: Painted, specs: Sequence[ImageSpec], before: dict[str, tuple[str, ...]]
    ) -> None:
        """Note each image that a worker has stored; a store at a URL gets it into its cache."""
        self._store.bring([self._store.image(specs[i].digest) for i in painted.how])
        for i, how in painted.how.items():
            made.note(self._store, specs[i], how, before.get(specs[i].digest, ()))

    def ahead(self, work: Callable[[], Iterable[None]]) -> None:
        """Run ``work`` in a thread, step by step, as long as few jobs wait; it queues what comes later."""
        if self._ahead is not None:
            return

        def steps() -> None:
            for _ in work():
                most = WAITING * max(1, len(self._crew.nodes))
                while not self._crew.queue.wait_until_short(most, 1.0):
                    if self._stopped.is_set():
                        return
                if self._stopped.is_set():
                    return

        self._ahead = threading.Thread(target=copy_context().run, args=(steps,), daemon=True)
        self._ahead.start()

    def stop(self) -> None:
        """Queue nothing more."""
        self._stopped.set()

    def _done(self, job: Job) -> Any:
        """Return the result of a job that nobody else may do; raise its error."""
        found = self._crew.queue.submit(job)
        if threading.current_thread() is self._ahead:
            return found.future.result()
        self.wait([found], lambda _: None)
        return found.future.result()

    def submit_job(self, job: Job) -> None:
        """Queue a job of another kind than this class knows."""
        self._crew.queue.submit(job)

    def wait(self, jobs: Sequence[Job], advance: Callable[[int], None]) -> None:
        """Wait until the jobs have ended, and tell people what the workers do."""
        seen = {job for job in jobs if job.future.done()}
        while len(seen) < len(jobs):
            wait(jobs, 1.0)
            fresh = {job for job in jobs if job.future.done()} - seen
            if fresh:
                advance(sum(job.images for job in fresh))
            seen |= fresh
            for sentence in told(self._crew):
                self._say(sentence)
            if time.monotonic() > self._told + STATUS_SECONDS:
                self._told = time.monotonic()
                self._say("\n".join(self._crew.lines))

    def _note(self, answer: Answer) -> None:
        if answer.memory is not None:
            self.memory = answer.memory


def files_of(*loras: Lora) -> list[Path]:
    """Return the files that the LoRAs are read from."""
    return [path for one in loras for path in (one.path, one.second, one.config) if path is not None]


def _moved(job: Job, order: int) -> Job:
    """Return a job that is asked for again, which may have become more urgent."""
    return job if order >= job.order else Job(job.key, job.method, job.arguments, job.what, order=order)


def _what(specs: Sequence[ImageSpec], lora: Lora | None) -> str:
    name, first = "the base" if lora is None else lora.name, specs[0]
    return (
        f"{name}, {count(len(specs), 'image')} from prompt '{first.prompt.id}' (noise seed {first.seed}) on"
    )
