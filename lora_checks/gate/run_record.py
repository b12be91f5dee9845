"""Record a run as it goes: verdicts into ledger and journal, and the document at its end."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

from lora_checks.core.clock import now
from lora_checks.core.files import file_sha256
from lora_checks.core.records import Verdict
from lora_checks.gate.facts import Facts, RunFacts
from lora_checks.gate.ledger import FILE_CHECK, Ledger
from lora_checks.judge import verdict as verdicts
from lora_checks.record import document as documents
from lora_checks.record import journal


class RunRecord:
    """Record what a run finds out. Its methods raise `StoreError` if the journal cannot be written."""

    def __init__(self, facts: RunFacts) -> None:
        self.facts, self.ledger = facts, Ledger(tuple(facts.required))
        self._shown: set[str] = set()  # LoRAs whose pictures are in the journal

    def enter(self, verdict: Verdict, again: bool = False) -> bool:
        """Enter a verdict, perhaps of a test that is run again; return whether it counts."""
        if not self.ledger.enter(verdict, again):
            return False
        if len(self.ledger.verdicts) == 1:
            self._journal(run=documents.plain(self.facts.beginning | self.facts.compared))
        self._journal(verdict=documents.verdict_to_json(verdict))
        if verdict.measurement is not None and verdict.lora not in self._shown:
            self._shown.add(verdict.lora)
            self._journal(lora=documents.plain(self.facts.of_lora(verdict.lora, [verdict])))
        return True

    def _journal(self, **entry: Any) -> None:
        line = {"at": now(), "process": os.getpid(), **entry}
        self.facts.run.store.append(self.facts.folder / journal.NAME, line)

    def changed_files(self) -> Iterator[Verdict]:
        """Return an error for each file that changed meanwhile: what is there now has not passed."""
        for name, candidate in self.facts.loras.items():
            judged = {v.lora_sha256 for v in self.ledger.of(name) if v.lora_sha256}
            if not judged:
                continue
            try:
                current = file_sha256(candidate.path)
            except OSError:  # it is gone; the record says what was judged
                current = min(judged)
            if judged != {current}:
                before = ", ".join(sha256[:12] for sha256 in sorted(judged - {current}))
                reason = (
                    f"{candidate.path} changed during the run: it was {before} and is {current[:12]} now; "
                    "run again when it is finished"
                )
                yield verdicts.error(name, current, FILE_CHECK, None, reason)

    def document(self, code: Iterable[Facts], trouble: str = "") -> documents.Document:
        """Return the document of a run that has ended.

        Args:
            code: the files that judged, as each process loaded them.
            trouble: what went wrong outside the rows; it withdraws a PASS.
        """
        document = documents.build(self.facts.end(self.ledger, code), list(self.ledger.verdicts.values()))
        if trouble and document["outcome"] == "PASS":
            document = documents.spoiled(document, trouble)
        if self.facts.against is not None:
            document["baseline"] = self.facts.against.section(document)
        return document
