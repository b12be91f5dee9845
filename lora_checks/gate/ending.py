"""Write a run's files so that they agree with its exit status, or none of them reports a PASS.

A run that has passed every row can still go wrong: another plugin fails, the disk is full, somebody presses
Ctrl-C. So the files of a PASS are first written under temporary names, and the JUnit file with an error;
both are published when everything else has ended well. If the run is killed earlier, no file reports a PASS.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import cast

from lora_checks.core.errors import LoraChecksError, StoreError
from lora_checks.core.words import printable
from lora_checks.gate import earlier
from lora_checks.gate.junit_file import JunitFile
from lora_checks.record import document as documents
from lora_checks.record import journal
from lora_checks.record.files import Held, hold
from lora_checks.record.shapes import Document
from lora_checks.report import github, outputs


class Ending:
    """Writes, publishes and withdraws the files of one run."""

    def __init__(self, folder: Path, junit: JunitFile) -> None:
        self.folder, self.junit = folder, junit
        self.document = cast(Document, {})  # empty until the run has ended
        self.trouble = ""  # why the report could not be written
        self.passed = False  # the files of a PASS are published
        self._held: Held | None = None
        self._extended = False  # the custom outputs are written

    def write(self, document: Document) -> None:
        """Write the outputs of a run; hold back those of a PASS until `publish`."""
        self.document = document
        try:
            if document["outcome"] == "PASS":
                with hold() as self._held:
                    outputs.write(document, self.folder)
            else:
                outputs.write(document, self.folder)
        except LoraChecksError as error:
            self.trouble, self._held = str(error), None
            self.document = documents.spoiled(document, self.trouble)

    def publish(self) -> None:
        """Publish the files of a PASS. Raises `StoreError`; then no file reports a PASS."""
        if self._held is None:
            return
        try:
            self.junit.acquit()
            self._held.publish()
        except (OSError, StoreError) as error:
            reason = str(error)
            if not isinstance(error, StoreError):
                cause = error.strerror or error
                reason = f"the JUnit file {self.junit.path} could not be written ({cause})"
            self.withdraw(reason)
            raise StoreError(reason) from error
        self.passed = True

    def withdraw(self, reason: str) -> None:
        """Remove every file that reports a PASS, and try to write a report with the reason."""
        if self._held is not None:
            self._held.discard()
        self.passed, self._held = False, None
        files = [path for path in outputs.verdicts(self.folder) if path.name != journal.NAME]
        stuck = [*earlier.remove(files), self.junit.revoke()]
        self.document = documents.spoiled(self.document, printable(reason))
        try:
            outputs.write(self.document, self.folder)
            stuck += outputs.write_custom(self.document, self.folder).troubles if self._extended else []
        except LoraChecksError as error:
            stuck.append(str(error))
        for sentence in filter(None, [f"this run is not a PASS: {reason}", *stuck]):
            sys.stderr.write(f"{printable(sentence)}\n")

    def extend(self) -> None:
        """Write the custom outputs last: other people's code must not show a PASS before there is one."""
        self._extended = True
        for sentence in outputs.write_custom(self.document, self.folder).troubles:
            sys.stderr.write(f"{printable(sentence)}\n")

    def summarise_for_ci(self) -> None:
        """Append to the summary of a GitHub Actions job; a failure to do so changes no verdict."""
        path = os.environ.get("GITHUB_STEP_SUMMARY")
        try:
            if path:
                github.append_summary(self.document, Path(path))
        except OSError as error:
            sys.stderr.write(f"GITHUB_STEP_SUMMARY {path} could not be written: {error.strerror or error}\n")
