"""Let only one run at a time write to a report folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from pathlib import Path

from filelock import FileLock, Timeout

from lora_checks.core.clock import now
from lora_checks.core.errors import StoreError
from lora_checks.core.words import printable

FOLDER, NAME = ".lock", "run"  # in a subfolder: every file of the report folder is part of the report
ATTEMPTS = 3  # a run that ends can remove the folder just as this one opens the file in it


class ReportLock:
    """An operating-system lock, which ends with its process, so that a killed run blocks nobody.

    The locked file names the process that holds it, for the message of a second run.
    """

    def __init__(self, folder: Path, command: str) -> None:
        self.folder, self.command = folder, command
        self._file = folder / FOLDER / NAME
        self._lock = FileLock(self._file)

    def take(self) -> bool:
        """Take the lock; return False if another process holds it. A folder that does not exist is free."""
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
            except (OSError, NotImplementedError):
                return True  # a folder that cannot be written to is refused when it is used
        return False

    def _sign(self) -> None:
        about = {"process": os.getpid(), "host": platform.node(), "command": self.command}
        with contextlib.suppress(OSError):
            self._file.write_text(json.dumps(about | {"started": now()}), encoding="utf-8")

    def require(self, way_out: str) -> None:
        """Take the lock.

        Raises:
            StoreError: another process holds it; the message names that process and then ``way_out``.
        """
        if not self.take():
            raise StoreError(
                f"another run ({self._holder()}) is writing its report to {self.folder}: "
                f"wait until it has ended, or {way_out}"
            )

    def release(self) -> None:
        """Release the lock and remove its file."""
        if self._lock.is_locked:
            # Remove it while it is locked: a process that locks the removed file notices that it has no name.
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
