"""What is missing at some addresses of a store, made together with whoever else is at it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lora_checks.core.errors import DamagedError, StoreError

POLL_SECONDS = 0.05  # how often a worker looks whether another has finished

T = TypeVar("T")
Make = Callable[[Sequence[int]], Iterable[bytes]]
Advance = Callable[[int], None]
Progress = Callable[[int], contextlib.AbstractContextManager[Advance]]


class Shelf(Protocol):
    """What is asked of a store."""

    def put(self, path: Path, content: bytes) -> bool: ...
    def claim(self, path: Path, claims: contextlib.ExitStack) -> bool: ...
    def remove_damaged(self, path: Path) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass
class Filling(Generic[T]):
    """``read`` gives what is kept under an index, or raises `FileNotFoundError` or `DamagedError`."""

    store: Shelf
    paths: Sequence[Path]
    read: Callable[[int], T]
    make: Make
    kept: Callable[[int], None] = lambda _: None  # told of each that this process made, once it is stored
    found: dict[int, T] = field(default_factory=dict)
    made: set[int] = field(default_factory=set)

    def run(self, batch: int, blocks: Sequence[Sequence[int]] | None, progress: Progress) -> list[T]:
        missing = self._look(range(len(self.paths)))
        with progress(len(missing)) as advance:
            while missing:
                mine = self._work(missing, batch, blocks, advance)
                if not mine:
                    time.sleep(POLL_SECONDS)
                still = self._look(missing)
                advance(len(missing) - len(still) - mine)  # what others finished meanwhile
                missing = still
        return [self.found[i] for i in range(len(self.paths))]

    def _work(
        self, missing: Sequence[int], batch: int, blocks: Sequence[Sequence[int]] | None, advance: Advance
    ) -> int:
        """Claim a batch, or what is missing of a block, and make it; how many that were."""
        with contextlib.ExitStack() as claims:
            chosen, mine = self._claim(missing, batch, blocks, claims)
            for i, content in zip(chosen, self.make(chosen) if mine else (), strict=True):
                if i in mine:
                    self.store.put(self.paths[i], content)
                    self.made.add(i)
                    self.kept(i)
                    advance(1)
        return len(mine)

    def _claim(
        self,
        missing: Sequence[int],
        batch: int,
        blocks: Sequence[Sequence[int]] | None,
        claims: contextlib.ExitStack,
    ) -> tuple[Sequence[int], set[int]]:
        """What to make, and which of it to keep."""
        if blocks is None:
            mine = self._claimed(missing, batch, claims)
            return mine, set(mine)
        absent = set(missing)
        for block in blocks:
            mine = self._claimed([i for i in block if i in absent], len(block), claims)
            if mine:
                return block, set(mine)
        return (), set()

    def _claimed(self, wanted: Sequence[int], most: int, claims: contextlib.ExitStack) -> list[int]:
        mine: list[int] = []
        for i in wanted:
            if not self.store.claim(self.paths[i], claims):
                continue
            try:  # it may have been finished between the look and the claim
                self.read(i)
            except FileNotFoundError:
                mine.append(i)
            except DamagedError:
                self.store.remove_damaged(self.paths[i])
                mine.append(i)
            if len(mine) == most:
                break
        return mine

    def _look(self, indices: Iterable[int]) -> list[int]:
        """What is missing of them or damaged; the rest is in ``found``."""
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
            self.store.say(anew(damaged))
        return missing


def anew(damaged: Sequence[DamagedError]) -> str:
    """The sentence about what was found to be damaged."""
    first = damaged[0]
    if len(damaged) == 1:
        return f"{first.path} is damaged ({first.why}) and is made anew"
    number = len(damaged)
    return f"{number} files of the store are damaged and made anew, the first is {first.path} ({first.why})"


@contextlib.contextmanager
def silent(_total: int) -> Iterator[Advance]:
    yield lambda _done: None
