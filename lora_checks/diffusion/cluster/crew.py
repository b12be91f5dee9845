"""The workers of a cluster: a thread hands them the jobs, watches them, and replaces those that fail."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import GenerationError, LoraChecksError, PrerequisiteError
from lora_checks.core.store import Store
from lora_checks.diffusion.cluster.jobs import TRIES, Job, Queue
from lora_checks.diffusion.cluster.limits import FIRST, Limits
from lora_checks.diffusion.cluster.ray_client import Ray, Share, cause
from lora_checks.diffusion.cluster.setup import Node, Setup, refusal
from lora_checks.diffusion.cluster.worker import Answer, Painted

SHIPPED = 12  # files that the cluster keeps, those of the last jobs
POLL_SECONDS = 0.1  # how often the thread looks for new jobs while all workers are busy


@dataclass(eq=False)
class Member:
    """One worker, from its start to its end."""

    number: int
    actor: Any
    call: Any = None  # what it is doing
    since: float = 0.0
    node: Node | None = None  # None until it has described itself
    job: Job | None = None
    jobs: int = 0
    images: int = 0

    @property
    def name(self) -> str:
        return f"worker {self.number}" + (
            "" if self.node is None else f" on {self.node.name} (process {self.node.process})"
        )

    @property
    def line(self) -> str:
        """Say what it does, for people."""
        doing = "starts" if self.node is None else "waits" if self.job is None else self.job.what
        return f"{self.name}: {doing}; {self.images} images made"


class Crew:
    """Workers of one setup on a cluster.

    Args:
        ray: The cluster.
        worker: The class of the workers.
        setup: What each is told.
        here: This process, which they must be like.
        store: Where claims are held.
        timeout: Seconds after which a worker counts as hung; None to derive them from earlier jobs.
    """

    def __init__(
        self, ray: Ray, worker: type, setup: Setup, here: Node, store: Store, timeout: float | None
    ) -> None:
        self.queue = Queue()
        self._ray, self._worker, self._setup, self._here, self._store = ray, worker, setup, here, store
        self._limits, self._stated = Limits(timeout), timeout
        self._numbers = itertools.count(1)
        self._members: list[Member] = []
        self._share = Share(1, 0)
        self._failed_starts: list[str] = []
        self._ending = threading.Event()
        self._shipped: dict[Path, Any] = {}
        self.said: list[str] = []  # by workers, for people
        self.notify: Callable[[Answer], None] = lambda _: None
        self._thread = threading.Thread(target=copy_context().run, args=(self._work,), daemon=True)

    def start(self, workers: int, share: Share) -> list[Node]:
        """Start the workers, wait until each has described its node, and begin to work.

        Raises:
            ConfigError, PrerequisiteError: A node is not like this one, or a worker does not start.
        """
        self._share = share
        for _ in range(workers):
            self._hire()
        deadline = time.monotonic() + FIRST
        while starting := [one for one in self._members if one.node is None]:
            for call in self._ray.ready([one.call for one in starting], 1.0):
                member = next(one for one in starting if one.call == call)
                if trouble := self._welcome(member):
                    raise trouble
            if time.monotonic() > deadline:
                raise PrerequisiteError(
                    f"--lora-cluster: {len(starting)} of {workers} workers did not start in {FIRST:.0f} s; "
                    "others may use the cluster: ask for fewer with --lora-cluster-workers"
                )
        self._thread.start()
        return self.nodes

    @property
    def nodes(self) -> list[Node]:
        return [one.node for one in list(self._members) if one.node is not None]

    @property
    def lines(self) -> list[str]:
        """Say what each worker does."""
        return [one.line for one in list(self._members)]

    def stop(self) -> None:
        """End the workers; what they are at is lost."""
        self._ending.set()
        self.queue.close(GenerationError("the run has ended"))
        if self._thread.is_alive():
            self._thread.join()
        for member in self._members:
            self._ray.kill(member.actor)

    def _hire(self) -> None:
        member = Member(next(self._numbers), self._ray.start(self._worker, self._share, self._setup))
        member.since, member.call = time.monotonic(), member.actor.describe.remote()
        self._members.append(member)

    def _welcome(self, member: Member) -> LoraChecksError | None:
        """Take in a worker that has described itself, or return why not."""
        try:
            node: Node = self._ray.result(member.call)
        except Exception as error:
            return PrerequisiteError(f"--lora-cluster: a worker did not start: {_cause(error)}")
        trouble = refusal(self._here, node)
        if trouble is None:
            member.node, member.call = node, None
            self._failed_starts.clear()
        return trouble

    def _work(self) -> None:
        why = "the run has ended"
        try:
            while not self._ending.is_set():
                self._turn()
        except Exception as error:
            why = f"--lora-cluster: the cluster failed: {_cause(error)}"
        self.queue.close(GenerationError(why))
        for member in self._members:  # in this thread, which holds the claims
            if member.job is not None:
                _give_up(member.job, GenerationError(why))

    def _turn(self) -> None:
        for member in [one for one in self._members if one.call is None]:
            self._begin(member)
        calls = {one.call: one for one in self._members if one.call is not None}
        if not calls:
            self._ending.wait(POLL_SECONDS)
            return
        for call in self._ray.ready(list(calls), POLL_SECONDS):
            self._end(calls[call])
        for member in list(self._members):
            self._watch(member)

    def _begin(self, member: Member) -> None:
        """Give the worker its next job, and claim that job's files."""
        others = {one.number for one in self._members if one.node is not None} - {member.number}
        while (job := self.queue.take(member.number, others)) is not None:
            if self._has_work(job):
                member.job, member.since = job, time.monotonic()
                member.call = member.actor.call.remote(job.method, job.arguments, self._files_of(job))
                return

    def _has_work(self, job: Job) -> bool:
        """Claim the files of a job that is begun; end it if another process has them in work or made them."""
        if not job.paths or job.faults:
            return True
        *others, wanted = job.arguments
        free = self._free(job, wanted)
        job.arguments = (*others, free)
        if not free:
            job.claims.close()
            job.future.set_result(None)
        return bool(free)

    def _free(self, job: Job, wanted: Sequence[int]) -> list[int]:
        """Claim the files of a job; return those of ``wanted`` that nobody else makes or has made."""
        paths = dict(zip(wanted, job.paths, strict=True))
        free = [i for i in wanted if self._store.claim(paths[i], job.claims) and not paths[i].exists()]
        if not free or not self._store.lease(job.paths, job.claims):
            return []
        self._store.bring(job.paths)  # another machine may have finished it before the lease
        return [i for i in free if not paths[i].exists()]

    def _files_of(self, job: Job) -> dict[Path, Any]:
        """Return the files of the job's LoRAs, as the cluster has them, for nodes that do not see ours."""
        if all(node.name == self._here.name for node in self.nodes):
            return {}
        found = {path: self._shipped.get(path) or self._ray.put(path.read_bytes()) for path in job.files}
        kept = {path: value for path, value in self._shipped.items() if path not in found}
        self._shipped = dict(list({**kept, **found}.items())[-SHIPPED:])  # the cluster forgets the others
        return found

    def _end(self, member: Member) -> None:
        """Take the result of a call that has ended."""
        if member.node is None:
            if trouble := self._welcome(member):
                self._fire(member, str(trouble))
            return
        assert member.job is not None
        try:
            answer: Answer = self._ray.result(member.call)
        except Exception as error:
            self._lose(member, _cause(error))
            return
        self.said += answer.said
        if answer.fault:
            self._lose(member, answer.fault, keep=not answer.spoilt)
            return
        self._limits.took(member.job.method, time.monotonic() - member.since)
        self._settle(member, answer)

    def _settle(self, member: Member, answer: Answer) -> None:
        """Tell who waits for the job how it ended, after its result is noted."""
        job, error = member.job, answer.error
        assert job is not None
        self.notify(answer)
        try:
            if error is None:
                job.finished(answer.value)
                if isinstance(answer.value, Painted):
                    member.images += len(answer.value.how)
                    error = answer.value.error
        except Exception as trouble:  # such as a full disk
            error = trouble if isinstance(trouble, LoraChecksError) else GenerationError(str(trouble))
        member.jobs, member.job, member.call = member.jobs + 1, None, None
        if error is None:
            job.claims.close()
            job.future.set_result(answer.value)
        else:
            _give_up(job, error)
            self.queue.drop(job.group, error)

    def _lose(self, member: Member, why: str, keep: bool = False) -> None:
        """Give the job of a worker that failed to another, and replace the worker unless it can be kept."""
        job, member.job, member.call = member.job, None, None
        if job is not None:
            job.faults.append(f"{member.name}: {why}")
            job.avoid.add(member.number)
            if len(job.faults) < TRIES:
                self.queue.again(job)
            else:
                _give_up(job, job.given_up)
                self.queue.drop(job.group, job.given_up)
        if not keep:
            self.said.append(f"{member.name} is replaced: {why}")
            self._ray.kill(member.actor)
            self._members.remove(member)
            self._hire()

    def _fire(self, member: Member, why: str) -> None:
        """Replace a worker that did not start; give up after as many as a job may be tried."""
        self._failed_starts.append(why)
        self._ray.kill(member.actor)
        self._members.remove(member)
        if len(self._failed_starts) < TRIES:
            self._hire()
        elif not self._members:
            self.queue.close(GenerationError(f"--lora-cluster: no worker is left: {why}"))

    def _watch(self, member: Member) -> None:
        """Replace a worker that takes longer than it may."""
        if member.call is None:
            return
        spent = time.monotonic() - member.since
        if member.node is None:
            if spent > FIRST:
                self._fire(member, f"a worker did not start in {FIRST:.0f} s")
            return
        assert member.job is not None
        limit = self._limits.of(member.job.method, fresh=not member.jobs)
        if spent > limit:
            self._lose(member, f"no answer in {limit:.0f} s (--lora-cluster-timeout)")


def _give_up(job: Job, error: LoraChecksError) -> None:
    job.claims.close()
    job.future.set_exception(error)


def _cause(error: BaseException) -> str:
    return str(error) if isinstance(error, LoraChecksError) else cause(error)


def told(crew: Crew) -> Iterator[str]:
    """Yield what workers have said since the last call."""
    while crew.said:
        yield crew.said.pop(0)


def wait(jobs: Sequence[Job], seconds: float) -> None:
    """Wait for one more of the jobs, at most so long."""
    futures.wait([job.future for job in jobs if not job.future.done()], seconds, futures.FIRST_COMPLETED)
