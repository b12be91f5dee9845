"""Make the missing entries of a store in several threads, and share them with other processes by claims.

Unlike `filling.Filling`, it reads nothing: entries are large, and whoever needs them reads them one by one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from lora_checks.core.filling import POLL_SECONDS, Advance, Progress, Shelf, silent

WORKERS_OF_XDIST = "PYTEST_XDIST_WORKER_COUNT"


def threads() -> int:
    """Return this process's share of the processors: all of them, or a part if pytest has several workers."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, processors // int(os.environ.get(WORKERS_OF_XDIST, "1")))


def make_missing(
    store: Shelf,
    paths: Sequence[Path],
    sizes: Sequence[int],
    make: Callable[[int], bytes],
    workers: int,
    progress: Progress | None = None,
) -> None:
    """Make the entries that are missing, and wait for those that other processes are making.

    Args:
        store: Where entries are put and claimed.
        paths: The entries.
        sizes: How much each counts in ``progress``.
        make: Gets an index into ``paths`` and returns the content. It is called in ``workers`` threads.
        workers: The number of threads; each has one entry in work, which is all that a kill loses.
        progress: Gets the missing total, and then each entry done by any process.
    """
    store.bring(paths)
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    with (
        (progress or silent)(sum(sizes[i] for i in missing)) as advance,
        ThreadPoolExecutor(max(1, workers), thread_name_prefix="block") as pool,
        contextlib.closing(_Work(store, paths, make)) as work,
    ):
        while missing:
            missing = _done(missing, paths, sizes, work, advance)
            _begin(missing, work, pool, workers)
            if missing:
                work.wait(missing)


def _done(
    missing: Sequence[int], paths: Sequence[Path], sizes: Sequence[int], work: _Work, advance: Advance
) -> list[int]:
    """Return what is still missing; count the rest as done."""
    still = []
    for i in missing:
        if i in work.running or not paths[i].exists():
            still.append(i)
        else:
            advance(sizes[i])
    return still


def _begin(missing: Sequence[int], work: _Work, pool: ThreadPoolExecutor, workers: int) -> None:
    for i in missing:
        if len(work.running) >= workers:
            return
        if i not in work.running:
            work.begin(i, pool)


class _Work:
    """What this process is making, each entry with its claim."""

    def __init__(self, store: Shelf, paths: Sequence[Path], make: Callable[[int], bytes]) -> None:
        self.store, self.paths, self.make = store, paths, make
        self.running: dict[int, tuple[Future[None], contextlib.ExitStack]] = {}

    def begin(self, i: int, pool: ThreadPoolExecutor) -> None:
        """Begin an entry, unless another process or another machine has it."""
        path = self.paths[i]
        with contextlib.ExitStack() as claims:
            if not self.store.claim(path, claims) or path.exists() or not self.store.lease([path], claims):
                return
            self.store.bring([path])  # another machine may have finished it before the lease
            if path.exists():
                return
            self.running[i] = pool.submit(self._put, i), claims.pop_all()

    def _put(self, i: int) -> None:
        self.store.put(self.paths[i], self.make(i))
        self.store.settle()

    def wait(self, missing: Sequence[int]) -> None:
        """Wait until one of ``missing`` is done, here or elsewhere. Raises what making it raised."""
        if not self.running:
            time.sleep(POLL_SECONDS)
            self.store.bring([self.paths[i] for i in missing], fresh=False)
            return
        wait([future for future, _ in self.running.values()], return_when=FIRST_COMPLETED)
        for i, (future, claim) in list(self.running.items()):
            if future.done():
                del self.running[i]
                with claim:
                    future.result()

    def close(self) -> None:
        """Wait for what was begun, so that it is kept, and give the claims back."""
        for future, claim in self.running.values():
            with claim:
                wait([future])
        self.running.clear()
