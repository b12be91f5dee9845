"""Log a gating run to trackers after its report is written, in separate processes.

A tracker's client may hang, crash, or leave threads and exit handlers behind. None of that may affect a
verdict, so the run starts ``lora-checks log`` and waits no longer than `PATIENCE`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from lora_checks.core.outside import harmless
from lora_checks.core.words import printable
from lora_checks.publish.trackers import Target, command, refusal

PATIENCE = 600.0  # seconds for one tracker


class AfterRun:
    """pytest plugin that logs a gating run started with ``--lora-log``."""

    def __init__(self, config: pytest.Config, targets: Sequence[Target], report_folder: Path) -> None:
        self.config, self.targets, self.report_folder = config, targets, report_folder

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Generator[None, None, None]:
        """Log last: by then every report is written and the verdict is on the screen."""
        yield
        if self.config.option.collectonly:
            return
        if exitstatus == pytest.ExitCode.INTERRUPTED:
            for target in self.targets:
                self._say(refusal(target, "the run was interrupted", self.report_folder))
            return
        self._say(f"logging to {', '.join(str(target) for target in self.targets)}")
        for line in log_apart(self.targets, self.report_folder):
            self._say(line)

    def _say(self, line: str) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter.write_line(harmless(line))


def log_apart(
    targets: Sequence[Target], folder: Path, patience: float = PATIENCE
) -> Generator[str, None, None]:
    """Yield a line for each target: where to look, or why it was not logged and how to log it later."""
    for target in targets:
        try:
            arguments = [sys.executable, "-m", "lora_checks", *command(target, folder)]
            yield from _run(target, arguments, folder, patience)
        except KeyboardInterrupt:
            yield refusal(target, "interrupted", folder)
        except OSError as trouble:
            yield refusal(target, str(trouble), folder)


def _run(
    target: Target, arguments: Sequence[str], folder: Path, patience: float
) -> Generator[str, None, None]:
    # Its own process session, so that child processes of a client end with it.
    with subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,  # a client must not prompt for a password in CI
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            _end(process)
            yield refusal(target, f"{target.tracker} did not finish in {patience:g} s", folder)
            return
        except BaseException:
            _end(process)
            raise
    line = (out.splitlines() or [""])[-1]
    if line.startswith(f"{target.tracker}: "):
        yield printable(line)
    else:
        yield refusal(target, _last(err) or f"it ended with status {process.returncode}", folder)


def _end(process: subprocess.Popen[str]) -> None:
    stop: Callable[[int, int], None] | None = getattr(os, "killpg", None)
    with contextlib.suppress(OSError):
        if stop is None:
            process.kill()
        else:
            stop(process.pid, signal.SIGKILL)


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else ""
