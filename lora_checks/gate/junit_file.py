"""The JUnit file of a gating run, which pytest writes: it has a failure in it unless the run is a PASS."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.files import write_atomically
from lora_checks.core.records import Verdict
from lora_checks.core.words import printable
from lora_checks.record import document as documents
from lora_checks.report import junit

UNFINISHED = "INCOMPLETE: the run did not end, or not with status 0"
PLACE = junit.CLASS.replace(".", "/")


class JunitFile:
    """Of ``--junitxml``; without it nothing here has an effect."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._name = ""
        self._unfinished: bytes | None = None  # as it was before the run was known to be a PASS

    def add_property(self, name: str, value: str) -> None:
        for writer in self._writers:
            writer.add_global_property(name, value)

    def add_verdict(self, verdict: Verdict) -> None:
        """Add a row as properties of the suite."""
        prefix = f"lora_checks.{printable(verdict.lora)}.{verdict.check}"
        for name, value in junit.properties(documents.row(verdict)):
            self.add_property(f"{prefix}.{name}", value)

    def fail(self, reason: str) -> None:
        """A file without a failure is a PASS to whoever reads it."""
        for writer in self._writers:
            writer.pytest_runtest_logreport(
                pytest.TestReport(
                    f"{PLACE}::{junit.CASE}",
                    (PLACE, None, junit.CASE),
                    {},
                    "failed",
                    printable(reason),
                    "setup",
                )
            )

    def acquit(self) -> None:
        """Take out the error that stood for a run that had not ended. Raises `OSError`."""
        path = self._path
        if path is not None and path.is_file():
            self._unfinished = path.read_bytes()
            write_atomically(path, junit.acquitted(self._unfinished))

    def revoke(self) -> str:
        """Undo `acquit`, and remove what is only part of a file; return a sentence if that cannot be done."""
        path = self._path
        if path is None or not path.is_file():
            return ""
        try:
            if self._unfinished is not None:
                path.unlink()
                write_atomically(path, self._unfinished)
            elif not path.read_bytes().rstrip().endswith(b"</testsuites>"):
                path.unlink()
        except OSError as trouble:
            if path.exists():
                return (
                    f"cannot remove {path} ({trouble.strerror or trouble}): it is not the verdict of this run"
                )
        return ""

    @property
    def path(self) -> str:
        """As pytest shows it; "" where there is none. The writer is gone before the run has quite ended."""
        self._name = next((str(writer.logfile) for writer in self._writers), self._name)
        return self._name

    @property
    def _path(self) -> Path | None:
        """Where a link leads: pytest writes there."""
        with contextlib.suppress(OSError, RuntimeError):
            return Path(os.path.realpath(self.path)) if self.path else None
        return None

    @property
    def _writers(self) -> list[Any]:
        plugins = self._config.pluginmanager.get_plugins()
        return [plugin for plugin in plugins if hasattr(plugin, "add_global_property")]
