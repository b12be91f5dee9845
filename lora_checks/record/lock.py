"""One run at a time writes into a report folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lora_checks.core.errors import StoreError
from lora_checks.core.words import printable

FOLDER, NAME = ".lock", "run"  # in a folder of its own, since a report's files are what a run has to tell
ATTEMPTS = 3  # the run that ends removes the folder just when this one opens the file in it


class ReportLock:
    """A lock of the operating system, which ends with its process: what a killed run leaves blocks nobody.

    The file says who holds it, for the sentence that a second run ends with.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.folder, self.command = folder, command
        self._file = folder / FOLDER / NAME
        self._lock = FileLock(self._file)

    def take(self) -> bool:
        """Whether no other process holds it; a folder that does not exist has no other run in it."""
        if self._lock.is_locked or not self.folder.is_dir():
            return True
        for _ in range(ATTEMPTS):
            try:
                self._file.parent.mkdir(exist_ok=True)
                self._lock.acquire(blocking=False)
                self._sign()
                return True
            except Timeout:
                return False
            except FileNotFoundError:
                continue
            except (
                OSError,
                NotImplementedError,
            ):  # a folder that cannot be written is refused when it is used
                return True
        return False

    def _sign(self) -> None:
        about = {"process": os.getpid(), "host": platform.node(), "command": self.command}
        with contextlib.suppress(OSError):
            self._file.write_text(json.dumps(about | {"started": _now()}), encoding="utf-8")

    def require(self, way_out: str) -> None:
        """Take it; raises `StoreError`, which names the other process and then ``way_out``."""
        if not self.take():
            raise StoreError(
                f"another run ({self._holder()}) is writing its report to {self.folder}: "
                f"wait until it has ended, or {way_out}"
            )

    def release(self) -> None:
        if self._lock.is_locked:
            # While it is held: whoever locks the removed file notices that it has no name any more.
            with contextlib.suppress(OSError):
                self._file.unlink()
            self._lock.release()
            with contextlib.suppress(OSError):
                self._file.parent.rmdir()

    def _holder(self) -> str:
        try:
            about = json.loads(self._file.read_text(encoding="utf-8"))
            return printable(
                f"process {about['process']} on {about['host']}, started {about['started']}: "
                f"{about['command']}"
            )
        except (OSError, ValueError, KeyError, TypeError):
            return "of another process"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
