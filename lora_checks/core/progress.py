"""Progress of generating and measuring: a bar on a terminal, a line every 10 % in CI."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Self

from lora_checks.core.words import printable

SECONDS_BETWEEN_LINES = 1.0


class Progress:
    """``with Progress(32, "generating overfit", write, interactive=True) as bar: bar.advance(8)``

    ``write`` receives text with its line ends. Nothing is written if ``total`` is 0.
    """

    def __init__(
        self,
        total: int,
        what: str,
        write: Callable[[str], None],
        interactive: bool,
        *,
        unit: str = "images",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.what, self.unit = total, printable(what), unit
        self._write, self._interactive, self._clock = write, interactive, clock
        self._done = 0
        self._written = 0.0  # when the last line was written
        self._bar: Any = None

    def __enter__(self) -> Self:
        self._started = self._written = self._clock()
        if self.total > 0:
            self._write("\n")  # leave pytest's own line of dots alone
            if self._interactive:
                self._bar = _bar(self.total, self.what, self.unit, self._write)
            else:  # write at once: loading a model can take long before the first image is done
                self._write(f"{self.what}: 0 of {self.total} {self.unit}\n")
        return self

    def advance(self, n: int = 1) -> None:
        """Count ``n`` more as done."""
        before, self._done = self._done, self._done + n
        if self._bar is not None:
            self._bar.update(n)
        elif self.total > 0:
            now = self._clock()
            if self._worth_a_line(before, now):
                self._written = now
                self._write(self._line(now - self._started) + "\n")

    def _worth_a_line(self, before: int, now: float) -> bool:
        """Return whether a tenth was completed and the last line is a second old: people read the log."""
        tenth = self._done * 10 // self.total > before * 10 // self.total
        return tenth and (self._done >= self.total or now - self._written >= SECONDS_BETWEEN_LINES)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _line(self, spent: float) -> str:
        rate = self._done / spent if spent > 0 else 0.0
        left = self.total - self._done
        time_left = f"{duration(left / rate)} left" if left > 0 and rate else f"took {duration(spent)}"
        return f"{self.what}: {self._done} of {self.total} {self.unit}, {rate:.1f}/s, {time_left}"


def on_stderr(
    what: str, unit: str = "images"
) -> Callable[[int], AbstractContextManager[Callable[[int], None]]]:
    """Return a `filling.Progress` that writes to stderr: stdout is for a command's result."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    @contextmanager
    def opened(total: int) -> Iterator[Callable[[int], None]]:
        with Progress(total, what, write, sys.stderr.isatty(), unit=unit) as progress:
            yield progress.advance

    return opened


def duration(seconds: float) -> str:
    """Return a time for people: "48 s", "12 min" or "3 h 5 min"."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class _Stream:
    """The part of a text file that tqdm uses."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write

    def flush(self) -> None:
        """``write`` has flushed."""


def _bar(total: int, what: str, unit: str, write: Callable[[str], None]) -> Any:
    from tqdm import tqdm

    # Every advance draws, so tqdm's thread that watches for slow ones is not started.
    quiet: Any = type("Bar", (tqdm,), {"monitor_interval": 0})
    counts = f"{{n_fmt}} of {{total_fmt}} {unit}"
    return quiet(
        total=total,
        desc=what,
        file=_Stream(write),
        ncols=shutil.get_terminal_size().columns - 1,
        ascii=" #",
        miniters=1,
        bar_format=f"{{desc}}: {counts} |{{bar}}| {{rate_noinv_fmt}}, {{remaining}} left",
        unit="",
    )
