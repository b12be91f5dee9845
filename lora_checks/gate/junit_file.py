"""Keep a failure in the JUnit file, which pytest writes, unless the run is a PASS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.files import write_atomically
from lora_checks.core.records import Verdict
from lora_checks.core.words import printable
from lora_checks.record import document as documents
from lora_checks.report import junit

UNFINISHED = "INCOMPLETE: the run did not end, or did not end with status 0"
PLACE = junit.CLASS.replace(".", "/")


class JunitFile:
    """The file of ``--junitxml``; without that option no method does anything."""

    def __init__(self, plugins: Callable[[], Iterable[object]]) -> None:
        self._plugins = plugins  # pytest's; the writer of the file is among them
        self._name = ""
        self._unfinished: bytes | None = None  # the content before the run was known to be a PASS

    def add_property(self, name: str, value: str) -> None:
        for writer in self._writers:
            writer.add_global_property(name, value)

    def add_verdict(self, verdict: Verdict) -> None:
        """Add a row as properties of the suite."""
        prefix = f"lora_checks.{printable(verdict.lora)}.{verdict.check}"
        for name, value in junit.properties(documents.row(verdict)):
            self.add_property(f"{prefix}.{name}", value)

    def fail(self, reason: str) -> None:
        """Add a failed test case: a reader takes a file without a failure for a PASS."""
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
        """Remove the failure that marked the run as unfinished. Raises `OSError`."""
        path = self._path
        if path is not None and path.is_file():
            self._unfinished = path.read_bytes()
            write_atomically(path, junit.acquitted(self._unfinished))

    def revoke(self) -> str:
        """Undo `acquit`, and remove a file that was written in part; return a sentence if that fails."""
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
        """The path as pytest shows it; "" if there is no file."""
        # pytest removes the writer shortly before the run ends
        self._name = next((str(writer.logfile) for writer in self._writers), self._name)
        return self._name

    @property
    def _path(self) -> Path | None:
        """The file that pytest writes: the target, if the path is a link."""
        with contextlib.suppress(OSError, RuntimeError):
            return Path(os.path.realpath(self.path)) if self.path else None
        return None

    @property
    def _writers(self) -> list[Any]:
        return [plugin for plugin in self._plugins() if hasattr(plugin, "add_global_property")]
