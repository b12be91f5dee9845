"""Messages and progress bars of a gating run under pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from lora_checks.core.outside import without_commands
from lora_checks.core.progress import Progress
from lora_checks.core.store import Advance


class Console:
    """Write to stderr, around pytest's capture, which would hide it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._worker = os.environ.get("PYTEST_XDIST_WORKER", "")
        self._interactive = not self._worker and sys.stderr.isatty()
        self._places: dict[str, str] = {}

    def number(self, loras: Collection[str]) -> None:
        """Let each bar about one of several LoRAs say which of them it is."""
        if len(loras) > 1:
            self._places = {name: f" ({i} of {len(loras)})" for i, name in enumerate(loras, start=1)}

    def bar(self, what: str) -> Callable[[int], AbstractContextManager[Advance]]:
        what += self._places.get(what.partition(" ")[2], "")

        @contextmanager
        def opened(total: int) -> Iterator[Advance]:
            with Progress(total, what, self._write, self._interactive) as progress:
                yield progress.advance

        return opened

    def say(self, text: str) -> None:
        """Print a message from this process."""
        self._print(f"{text}\n")

    def say_once(self, text: str) -> None:
        """Print, in the controller only, a message that every process of the run would print."""
        if not self._worker:
            self.say(text)

    def _write(self, text: str) -> None:
        # Workers share the work and each counts all of it, so only one reports.
        if self._worker in ("", "gw0"):
            self._print(text)

    def _print(self, text: str) -> None:
        text = without_commands(text)
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        if capture is None:
            sys.stderr.write(text)
            return
        with capture.global_and_fixture_disabled():
            sys.stderr.write(text)
            sys.stderr.flush()
