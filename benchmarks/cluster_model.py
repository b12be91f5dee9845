"""A gate on a cluster as a discrete-event simulation: workers, the queue, the driver and the store.

What is simulated is what the product does. Blocks of images wait in one line, most urgent first; a worker
that becomes free gets one from the driver, of the LoRA that it has where there is one; the driver hands out
one at a time and claims the files before. Base images come first, then one LoRA after the other: its proof,
its blocks, the features of its images, and the driver's own measuring. While fewer than four blocks for each
worker wait, more are put in.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

LOOKS = 8  # images of which a network's features are one job; `lora_checks.networks.features.BATCH`
WAITING = 4  # blocks in the line for each worker; `lora_checks.diffusion.cluster.studio.WAITING`
BASE = -1  # the group of base images


@dataclass(frozen=True, slots=True)
class Units:
    """Seconds of one piece of work, and megabytes of what is stored."""

    base: float  # load the base, once on each worker
    networks: float  # load the networks, once on each worker
    lora: float  # fetch a LoRA and put it on the base
    proof: float  # prove that it is applied, once for each LoRA
    image: float
    feature: float  # all networks, for one image
    put: float  # store one entry
    get: float  # fetch one entry
    hand_out: float  # the driver's work for one job
    claim: float  # the driver's claim on a file, or on all of a job
    judge: float  # the driver's work for one LoRA, after its features are there
    image_mb: float
    lora_mb: float
    features_mb: float = 0.01
    kinds: int = 3  # networks


@dataclass(frozen=True, slots=True)
class Task:
    """What is gated, and on what."""

    gpus: int
    loras: int
    images: int  # of each LoRA, and of the base
    batch: int = 4


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work for one worker."""

    kind: str  # "proof", "paint" or "features"
    group: int  # the LoRA
    images: int
    network: int = 0  # of "features"


@dataclass
class Worker:
    """A GPU."""

    lora: int = BASE
    begun: bool = False
    networks: set[int] = field(default_factory=set)  # that are loaded
    busy: float = 0.0


@dataclass
class Outcome:
    """What a simulated run took."""

    task: Task
    makespan: float
    bound: float
    start: float
    swaps: int  # LoRAs that were put on a base
    requests: Counter[str]
    megabytes: float
    driver_jobs: int
    driver_busy: float  # seconds of handing out
    judging: float  # seconds of measuring
    first_verdict: float
    verdicts: list[float] = field(default_factory=list)

    @property
    def over(self) -> float:
        """How much longer than the bound, as a share of it."""
        return self.makespan / self.bound - 1


def bound(task: Task, units: Units) -> float:
    """Return the shortest possible time: loading, then all work spread evenly over all GPUs."""
    pictures = (task.loras + 1) * task.images
    work = pictures * (units.image + units.put + units.feature + units.get)
    work += task.loras * (units.proof + units.lora)
    return units.base + units.networks + work / task.gpus


class Simulation:
    """One run.

    Args:
        stay: A worker prefers blocks of the LoRA that it has, as `lora_checks.diffusion.cluster.jobs` has it;
            else it gets the first in line.
        at_once: The driver claims the files of a block together, not one after the other.
        judges: How many LoRAs the driver waits for and measures side by side.
    """

    def __init__(
        self, task: Task, units: Units, stay: bool = True, judges: int = 1, at_once: bool = False
    ) -> None:
        self.task, self.units, self.stay, self.judges, self.at_once = task, units, stay, judges, at_once
        self.now, self._events, self._numbers = 0.0, [], itertools.count()
        self._workers = [Worker() for _ in range(task.gpus)]
        self._free = deque(self._workers)
        self._asked, self._ahead = deque[Job](), deque[Job]()  # the two classes of urgency
        self._waiting_for: dict[tuple[str, int], int] = {}  # images or proofs that are not done
        self._then: dict[tuple[str, int], Callable[[], None]] = {}
        self._handing = 0
        self._next, self._judged, self._judging = BASE, 0, 0
        self._ready: deque[int] = deque()
        self.out = Outcome(
            task, 0.0, bound(task, units), units.base + units.networks, 0, Counter(), 0, 0, 0, 0, 0
        )

    def run(self) -> Outcome:
        self._queue_more()
        self._begin_judging()
        while self._events:
            self.now, _, act = heapq.heappop(self._events)
            act()
        self.out.makespan = self.now
        return self.out

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._numbers), act))

    # The line

    def _queue_more(self) -> None:
        """Put the next LoRAs into the line as long as it is short."""
        while self._next < self.task.loras and len(self._ahead) < WAITING * self.task.gpus:
            group, self._next = self._next, self._next + 1
            if group != BASE:
                self._expect("proof", group, 1)
                self._ahead.append(Job("proof", group, 1))
            self._expect("paint", group, self.task.images)
            self._ahead += self._blocks("paint", group, self.task.batch)
        self._hand_out()

    def _blocks(self, kind: str, group: int, size: int, network: int = 0) -> list[Job]:
        full, rest = divmod(self.task.images, size)
        return [Job(kind, group, n, network) for n in [size] * full + [rest] * bool(rest)]

    def _expect(self, kind: str, group: int, count: int) -> None:
        self._waiting_for[kind, group] = count

    def _take(self, worker: Worker) -> Job:
        """Return the most urgent job, or the first of the LoRA that the worker has."""
        line = self._asked or self._ahead
        job = self._staying(worker, line) if self.stay else line[0]
        line.remove(job)
        return job

    def _staying(self, worker: Worker, line: Iterable[Job]) -> Job:
        """Return a job of the LoRA that the worker has, else of one that fewest workers have."""
        held = Counter(other.lora for other in self._workers)
        firsts: dict[int, Job] = {}
        for job in line:
            if job.kind == "features" or job.group == BASE:
                return job  # needs no LoRA
            firsts.setdefault(job.group, job)
        if worker.lora in firsts:
            return firsts[worker.lora]
        return min(firsts.values(), key=lambda job: (held[job.group], job.group))

    # The driver

    def _hand_out(self) -> None:
        while not self._handing and self._free and (self._asked or self._ahead):
            worker = self._free.popleft()
            job = self._take(worker)
            files = 0 if job.kind == "proof" else job.images
            claims = min(files, 1) if self.at_once else files
            seconds = self.units.hand_out + claims * self.units.claim
            self.out.driver_jobs += 1
            self.out.driver_busy += seconds
            self.out.requests["claims and looks"] += files + 2 * claims
            self._handing += 1
            self._after(seconds, lambda w=worker, j=job: self._handed(w, j))

    def _handed(self, worker: Worker, job: Job) -> None:
        self._handing -= 1
        seconds = self._seconds(worker, job)
        worker.busy += seconds
        self._after(seconds, lambda: self._done(worker, job))
        self._queue_more()

    def _done(self, worker: Worker, job: Job) -> None:
        self._free.append(worker)
        key = (job.kind, job.group)
        self._waiting_for[key] -= job.images
        if not self._waiting_for[key] and key in self._then:
            self._then.pop(key)()
        self._queue_more()

    def _when(self, kind: str, group: int, act: Callable[[], None]) -> None:
        if self._waiting_for.get((kind, group)) == 0:
            act()
        else:
            self._then[kind, group] = act

    def _begin_judging(self) -> None:
        """Judge the base's images, then each LoRA: wait for its images, ask for their features, measure."""
        while self._judging < self.judges and self._judged <= self.task.loras:
            group, self._judged = self._judged - 1, self._judged + 1
            self._judging += 1
            self._ask(group)
            self._when("paint", group, lambda g=group: self._features(g))

    def _ask(self, group: int) -> None:
        """Move a LoRA's blocks that still wait to the front: the driver waits for them now."""
        asked = [job for job in self._ahead if job.group == group]
        self._ahead = deque(job for job in self._ahead if job.group != group)
        self._asked += asked

    def _features(self, group: int) -> None:
        self._expect("features", group, self.task.images * self.units.kinds)
        for network in range(self.units.kinds):
            self._asked += self._blocks("features", group, LOOKS, network)
        self._when("features", group, lambda: self._measure(group))
        self._hand_out()

    def _measure(self, group: int) -> None:
        entries = self.task.images * self.units.kinds
        self.out.requests["features read"] += entries
        self.out.requests["images read"] += self.task.images  # the driver shows and hashes each
        self.out.megabytes += entries * self.units.features_mb + self.task.images * self.units.image_mb
        self.out.judging += self.units.judge
        self._after(self.units.judge, lambda: self._verdict(group))

    def _verdict(self, group: int) -> None:
        self._judging -= 1
        if group != BASE:
            self.out.verdicts.append(self.now)
            self.out.first_verdict = self.out.first_verdict or self.now
        self._begin_judging()

    # A worker

    def _seconds(self, worker: Worker, job: Job) -> float:
        units, seconds = self.units, 0.0
        if not worker.begun:
            worker.begun, seconds = True, units.base
        if job.kind == "features":
            if job.network not in worker.networks:
                worker.networks.add(job.network)
                seconds += units.networks / units.kinds
            self._store("images read", job.images, units.image_mb)
            self._store("features written", job.images, units.features_mb)
            return seconds + job.images * (units.feature / units.kinds + units.get)
        if job.group not in (BASE, worker.lora):
            seconds += units.lora
            self.out.swaps += 1
            self._store("LoRAs read", 1, units.lora_mb)
            worker.lora = job.group
        if job.kind == "proof":
            return seconds + units.proof
        self._store("images written", job.images, units.image_mb)
        return seconds + job.images * (units.image + units.put)

    def _store(self, kind: str, count: int, megabytes: float) -> None:
        self.out.requests[kind] += count
        self.out.megabytes += count * megabytes


def line(outcome: Outcome) -> str:
    """Return a row of the page's table."""
    seconds, requests = outcome.makespan, sum(outcome.requests.values())
    return " | ".join(
        [
            f"| {outcome.task.gpus:,}",
            f"{outcome.bound:,.0f} s",
            f"{seconds:,.0f} s",
            f"{100 * outcome.over:.0f} %",
            f"{outcome.swaps:,}",
            f"{requests / seconds:.0f}",
            f"{outcome.megabytes / seconds:.0f}",
            f"{outcome.driver_jobs / seconds:.1f}",
            f"{100 * outcome.driver_busy / seconds:.0f} %",
            f"{math.ceil(100 * outcome.judging / seconds)} % |",
        ]
    )


HEAD = (
    "| GPUs | bound | makespan | over | LoRAs put on | requests/s | MB/s | jobs/s | handing out | judging |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)
