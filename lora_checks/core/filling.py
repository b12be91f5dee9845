"""Make the missing entries of a store, sharing the work with other processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lora_checks.core.errors import DamagedError, StoreError

POLL_SECONDS = 0.05  # how often a worker checks whether another has finished

T = TypeVar("T")
Make = Callable[[Sequence[int]], Iterable[bytes]]
MakeLater = Callable[[Sequence[int]], Iterable[Callable[[], bytes]]]
Advance = Callable[[int], None]
Progress = Callable[[int], contextlib.AbstractContextManager[Advance]]


class Shelf(Protocol):
    """The methods of a store that `Filling` needs."""

    def put(self, path: Path, content: bytes, durable: bool = True) -> bool: ...
    def claim(self, path: Path, claims: contextlib.ExitStack) -> bool: ...
    def remove_damaged(self, path: Path) -> None: ...
    def restore(self, path: Path) -> bool: ...
    def settle(self) -> None: ...
    def bring(self, paths: Sequence[Path], fresh: bool = True) -> None: ...
    def lease(self, paths: Sequence[Path], claims: contextlib.ExitStack) -> bool: ...
    def say(self, text: str) -> None: ...


@dataclass
class Filling(Generic[T]):
    """A set of store entries to read, or to make if they are missing or damaged.

    ``read`` returns the entry of an index, or raises `FileNotFoundError` or `DamagedError`.
    """

    store: Shelf
    paths: Sequence[Path]
    read: Callable[[int], T]
    stored: Callable[[int], None] = lambda _: None  # called after this process has stored an entry
    durable: bool = True  # an entry survives a power failure
    found: dict[int, T] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    def run(self, make: Make, batch: int, progress: Progress) -> list[T]:
        """Make what is missing, ``batch`` entries at a time; each is stored as soon as ``make`` yields it."""
        missing = self._first_look()
        with progress(len(missing)) as advance:
            while missing:
                made = self._work(missing, make, batch, advance)
                if not made:
                    time.sleep(POLL_SECONDS)
                    self._bring(missing, fresh=False)
                still = self._look(missing)
                advance(len(missing) - len(still) - made)  # what other processes finished meanwhile
                missing = still
        return [self.found[i] for i in range(len(self.paths))]

    def run_blocks(self, make: MakeLater, blocks: Sequence[Sequence[int]], progress: Progress) -> list[T]:
        """Make what is missing, block by block; one is encoded and stored while the next is made.

        ``make`` yields functions that return the contents; they are called in another thread, in order. An
        error there ends the run like one in ``make``, and what was stored before it stays.
        """
        missing = self._first_look()
        with progress(len(missing)) as advance, _Writer() as writer:
            while missing or writer.busy:
                begun = self._begin(missing, make, blocks, writer)
                advance(len(begun))  # made, if not yet stored: a bar belongs to one thread
                rest = [i for i in missing if i not in begun]
                if not begun and not writer.busy:
                    time.sleep(POLL_SECONDS)
                    self._bring(rest, fresh=False)
                elif not begun:
                    writer.finish()
                still = self._look(rest)
                advance(len(rest) - len(still))
                missing = [*still, *self._look(writer.take_stored())]
        return [self.found[i] for i in range(len(self.paths))]

    def _work(self, missing: Sequence[int], make: Make, batch: int, advance: Advance) -> int:
        """Claim a batch and make it; return the number of new entries."""
        with contextlib.ExitStack() as claims:
            claimed = self._claimed(missing, batch, claims)
            try:
                for i, content in zip(claimed, make(claimed) if claimed else (), strict=True):
                    self._put(i, content)
                    advance(1)
            finally:
                self.store.settle()  # before the claims end
        return len(claimed)

    def _begin(
        self,
        missing: Sequence[int],
        make: MakeLater,
        blocks: Sequence[Sequence[int]],
        writer: _Writer,
    ) -> Collection[int]:
        """Claim the missing part of a block, make the block, and let it be stored; return what will be."""
        with contextlib.ExitStack() as claims:
            block, claimed = self._claim(missing, blocks, claims)
            if not claimed:
                return ()
            contents = list(make(block))

            def store() -> None:
                try:
                    for i, content in zip(block, contents, strict=True):
                        if i in claimed:
                            self._put(i, content())
                finally:
                    self.store.settle()

            writer.begin(store, claimed, claims.pop_all())
            return claimed

    def _put(self, i: int, content: bytes) -> None:
        self.store.put(self.paths[i], content, self.durable)
        self.made.add(i)
        self.stored(i)

    def _claim(
        self, missing: Sequence[int], blocks: Sequence[Sequence[int]], claims: contextlib.ExitStack
    ) -> tuple[Sequence[int], Collection[int]]:
        """Return the first block with something to make, and the part of it to store."""
        absent = set(missing)
        for block in blocks:
            with contextlib.ExitStack() as until_next:
                claimed = self._claimed([i for i in block if i in absent], len(block), until_next)
                if claimed and self.store.lease([self.paths[i] for i in block], until_next):
                    self._bring(claimed)  # another machine may have finished it before the lease
                    claimed = self._look(claimed)
                    if claimed:
                        claims.push(until_next.pop_all())
                        return block, set(claimed)
        return (), ()

    def _claimed(self, wanted: Sequence[int], most: int, claims: contextlib.ExitStack) -> list[int]:
        claimed: list[int] = []
        for i in wanted:
            if not self.store.claim(self.paths[i], claims):
                continue
            try:  # another process may have finished it before the claim
                self.read(i)
            except FileNotFoundError:
                claimed.append(i)
            except DamagedError:
                self.store.remove_damaged(self.paths[i])
                claimed.append(i)
            if len(claimed) == most:
                break
        return claimed

    def _first_look(self) -> list[int]:
        """Fetch what the store has on a server; return the indices that are missing or damaged."""
        everything = range(len(self.paths))
        self._bring(everything, fresh=False)
        return self._look(everything)

    def _bring(self, indices: Iterable[int], fresh: bool = True) -> None:
        self.store.bring([self.paths[i] for i in indices], fresh)

    def _read(self, i: int) -> T:
        """Read an entry, from another copy if this one is damaged."""
        try:
            return self.read(i)
        except DamagedError:
            if not self.store.restore(self.paths[i]):
                raise
        return self.read(i)

    def _look(self, indices: Iterable[int]) -> list[int]:
        """Return the indices that are missing or damaged; read the others into ``found``."""
        missing, damaged = [], []
        for i in indices:
            try:
                self.found[i] = self._read(i)
                continue
            except FileNotFoundError:
                pass
            except DamagedError as error:
                if i in self.made:
                    raise StoreError(
                        f"{error.path} was written a moment ago and reads back damaged ({error.why}): check "
                        "the disk, or name another folder with --lora-store"
                    ) from error
                damaged.append(error)
            missing.append(i)
        if damaged:
            self.store.say(regenerated(damaged))
        return missing


def regenerated(damaged: Sequence[DamagedError]) -> str:
    """Return the log line about damaged files that are being regenerated."""
    first = damaged[0]
    if len(damaged) == 1:
        return f"{first.path} is damaged ({first.why}) and is regenerated"
    number = len(damaged)
    return (
        f"{number} files in the store are damaged and are regenerated; the first is {first.path} "
        f"({first.why})"
    )


class _Writer:
    """A thread that stores one block while the next is made. The claims stay until the block is stored."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._at_work: tuple[Future[None], Collection[int], contextlib.ExitStack] | None = None
        self._stored: list[int] = []

    @property
    def busy(self) -> bool:
        return self._at_work is not None

    def begin(self, store: Callable[[], None], block: Collection[int], claims: contextlib.ExitStack) -> None:
        """Wait for the block at work, then store this one."""
        with contextlib.ExitStack() as until_begun:
            until_begun.push(claims)
            self.finish()
            self._at_work = self._thread.submit(copy_context().run, store), block, claims
            until_begun.pop_all()

    def finish(self) -> None:
        """Wait for the block at work. Raises what storing it raised."""
        if self._at_work is None:
            return
        (future, block, claims), self._at_work = self._at_work, None
        with claims:
            future.result()
        self._stored += block

    def take_stored(self) -> list[int]:
        """Return what was stored since the last call."""
        stored, self._stored = self._stored, []
        return stored

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.finish()  # also after an error in the next block: what was made is kept
        finally:
            self._thread.shutdown()


@contextlib.contextmanager
def silent(_total: int) -> Iterator[Advance]:
    """Report no progress."""
    yield lambda _done: None
