"""Let a cluster's workers compute what networks say about images; this process reads it from the store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Progress, Store
from lora_checks.core.words import count
from lora_checks.diffusion.cluster import Cluster
from lora_checks.diffusion.cluster.jobs import TRIES, Job
from lora_checks.gate.workers import Lacking, identity_of
from lora_checks.judge.wanted import Wanted
from lora_checks.networks import Extractor


class Spread:
    """A `judge.wanted.Elsewhere` of the workers of a cluster.

    Each row is asked for once. Whatever is then not in the store is computed by this process, which also
    gives an error of a network in its own words.
    """

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        progress: Callable[[str], Progress],
        say: Callable[[str], None],
    ) -> None:
        self._cluster, self._store, self._progress, self._say = cluster, store, progress, say
        self._numbers = itertools.count()
        self._owners: dict[Path, Job] = {}  # by row, the job that computes it or did
        self._here: set[str] = set()  # slots of networks that a worker lacks

    def begin(self, wanted: Sequence[Wanted], network: Extractor) -> list[Job]:
        """Ask for what the store lacks; return the jobs that compute it, those of earlier calls included."""
        jobs = [job for one in wanted if one.slot not in self._here for job in self._jobs(one, network)]
        return list(dict.fromkeys(jobs))

    def finish(self, wanted: Sequence[Wanted], network: Extractor) -> None:
        """Ask for what the store lacks, and wait for it. Raises `MeasureError` if three workers failed."""
        jobs = self.begin(wanted, network)
        waiting = [job for job in jobs if not job.future.done()]
        if waiting:
            with self._progress(f"asking {network.label}")(sum(job.images for job in waiting)) as advance:
                self._cluster.studio().wait(waiting, advance)
        self._store.bring(path for job in jobs for path in job.paths)
        for job in jobs:
            self._heed(job, network)

    def _heed(self, job: Job, network: Extractor) -> None:
        """Raise the error of a job that was given up; any other failure is left to this process."""
        error = job.future.exception()
        if error is not None:
            if len(job.faults) >= TRIES:
                raise error
            return
        found, slot = job.future.result(), job.arguments[0].slot
        if isinstance(found, Lacking) and slot not in self._here:
            self._here.add(slot)
            self._say(f"networks: {slot}: {network.label} is asked here, not by the workers: {found.why}")

    def _jobs(self, wanted: Wanted, network: Extractor) -> list[Job]:
        wanted = replace(wanted, x=_absolute(wanted.x), y=_absolute(wanted.y))
        rows = wanted.rows(network, self._store)
        self._store.bring(rows.paths, fresh=False)
        absent = {path: i for i, path in enumerate(rows.paths) if not path.exists()}
        free = [i for path, i in absent.items() if path not in self._owners]
        for start in range(0, len(free), rows.at_once):
            some = free[start : start + rows.at_once]
            self._submit(wanted.part(some), network, [rows.paths[i] for i in some])
        return [self._owners[path] for path in absent]

    def _submit(self, wanted: Wanted, network: Extractor, paths: Sequence[Path]) -> None:
        root = self._store.root.absolute()
        job = Job(
            ("measure", next(self._numbers)),
            "measure",
            (wanted, identity_of(network), root, list(range(len(paths)))),
            f"{network.label} on {count(len(paths), 'image')} from '{wanted.x[0].name}' on",
            images=len(paths),
            paths=paths,
            error=MeasureError,
        )
        self._owners |= dict.fromkeys(paths, job)
        self._cluster.studio().submit_job(job)


def _absolute(images: Sequence[ImageFile]) -> tuple[ImageFile, ...]:
    return tuple(replace(image, path=image.path.absolute()) for image in images)
