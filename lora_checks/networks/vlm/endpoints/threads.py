"""Call a function for many items at once, in threads that do not keep the process alive.

Python waits for the threads of ``concurrent.futures`` when it ends. One that waits for a server would hold up
Ctrl-C for as long as a request may take.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ended(Generic[Result]):
    """The end of one call: what it returned, or what it raised."""

    index: int
    value: Result | None
    error: BaseException | None

    def result(self) -> Result:
        if self.error is not None:
            raise self.error
        assert self.value is not None
        return self.value


def started(
    call: Callable[[Item], Result], items: Sequence[Item], threads: int
) -> SimpleQueue[Ended[Result]]:
    """Call the function for each item, so many at a time; return the queue in which each call's end appears.

    Args:
        call: Must not return None.
        items: What to call it with.
        threads: How many run at once.
    """
    todo: SimpleQueue[int] = SimpleQueue()
    ends: SimpleQueue[Ended[Result]] = SimpleQueue()
    for index in range(len(items)):
        todo.put(index)

    def work() -> None:
        while True:
            try:
                index = todo.get_nowait()
            except Empty:
                return
            try:
                ends.put(Ended(index, call(items[index]), None))
            except BaseException as error:  # raised again where the ends are read
                ends.put(Ended(index, None, error))

    for number in range(min(threads, len(items))):
        threading.Thread(target=work, name=f"judge-{number}", daemon=True).start()
    return ends


def waiting(ends: SimpleQueue[Ended[Result]]) -> list[Ended[Result]]:
    """Return the ends that are there already."""
    found = []
    while not ends.empty():
        found.append(ends.get_nowait())
    return found
