"""Make the missing entries of a store, sharing the work with other processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lora_checks.core.errors import DamagedError, StoreError

POLL_SECONDS = 0.05  # how often a worker checks whether another has finished

T = TypeVar("T")
Make = Callable[[Sequence[int]], Iterable[bytes]]
Advance = Callable[[int], None]
Progress = Callable[[int], contextlib.AbstractContextManager[Advance]]


class Shelf(Protocol):
    """The methods of a store that `Filling` needs."""

    def put(self, path: Path, content: bytes) -> bool: ...
    def claim(self, path: Path, claims: contextlib.ExitStack) -> bool: ...
    def remove_damaged(self, path: Path) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass
class Filling(Generic[T]):
    """A set of store entries to read, or to make if they are missing or damaged.

    ``read`` returns the entry of an index, or raises `FileNotFoundError` or `DamagedError`.
    """

    store: Shelf
    paths: Sequence[Path]
    read: Callable[[int], T]
    make: Make
    stored: Callable[[int], None] = lambda _: None  # called after this process has stored an entry
    found: dict[int, T] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    def run(self, batch: int, blocks: Sequence[Sequence[int]] | None, progress: Progress) -> list[T]:
        missing = self._look(range(len(self.paths)))
        with progress(len(missing)) as advance:
            while missing:
                made = self._work(missing, batch, blocks, advance)
                if not made:
                    time.sleep(POLL_SECONDS)
                still = self._look(missing)
                advance(len(missing) - len(still) - made)  # what other processes finished meanwhile
                missing = still
        return [self.found[i] for i in range(len(self.paths))]

    def _work(
        self, missing: Sequence[int], batch: int, blocks: Sequence[Sequence[int]] | None, advance: Advance
    ) -> int:
        """Claim a batch, or the missing part of a block, and make it; return the number of new entries."""
        with contextlib.ExitStack() as claims:
            chosen, claimed = self._claim(missing, batch, blocks, claims)
            for i, content in zip(chosen, self.make(chosen) if claimed else (), strict=True):
                if i in claimed:
                    self.store.put(self.paths[i], content)
                    self.made.add(i)
                    self.stored(i)
                    advance(1)
        return len(claimed)

    def _claim(
        self,
        missing: Sequence[int],
        batch: int,
        blocks: Sequence[Sequence[int]] | None,
        claims: contextlib.ExitStack,
    ) -> tuple[Sequence[int], set[int]]:
        """Return the indices to make, and the subset of them to store."""
        if blocks is None:
            claimed = self._claimed(missing, batch, claims)
            return claimed, set(claimed)
        absent = set(missing)
        for block in blocks:
            claimed = self._claimed([i for i in block if i in absent], len(block), claims)
            if claimed:
                return block, set(claimed)
        return (), set()

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

    def _look(self, indices: Iterable[int]) -> list[int]:
        """Return the indices that are missing or damaged; read the others into ``found``."""
        missing, damaged = [], []
        for i in indices:
            try:
                self.found[i] = self.read(i)
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


@contextlib.contextmanager
def silent(_total: int) -> Iterator[Advance]:
    """Report no progress."""
    yield lambda _done: None
