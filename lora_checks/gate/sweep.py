"""Tell of each of several LoRAs as soon as it is judged, and how long the others will take."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

from lora_checks.core.progress import duration
from lora_checks.core.records import Outcome, Verdict
from lora_checks.gate.ledger import Ledger
from lora_checks.judge.verdict import passed

STORED = 0.1  # of the longest LoRA's time: a LoRA that took less was in the store already


class Sweep:
    """Count the LoRAs that are judged. A run of one LoRA has nothing to tell."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger, self._clock = ledger, clock
        self._last = clock()
        self._gaps: list[float] = []  # seconds from one LoRA's verdict to the next one's
        self._checks: dict[str, set[str]] = defaultdict(set)  # of each LoRA, those that have no verdict yet
        for lora, check in ledger.required:
            self._checks[lora].add(check)
        self._all = len(self._checks)

    def after(self, verdict: Verdict) -> str:
        """Return the line about a LoRA with its last required row; "" before and after that row.

        "3 of 9 judged: step-0300 FAIL (identity); about 12 min left"
        """
        left = self._checks.get(verdict.lora)
        if not left or self._all < 2:
            return ""
        left.discard(verdict.check)
        if left:
            return ""
        self._gaps.append(self._clock() - self._last)
        self._last += self._gaps[-1]
        return f"{len(self._gaps)} of {self._all} judged: {self._verdict(verdict.lora)}{self._time_left()}"

    def _verdict(self, lora: str) -> str:
        verdicts = self._ledger.of(lora)
        outcome = passed(verdicts, [pair for pair in self._ledger.required if pair[0] == lora]).outcome
        stopped = [v.check for v in verdicts if v.required and v.outcome is not Outcome.PASS]
        return f"{lora} {outcome}" + (f" ({', '.join(stopped)})" if stopped else "")

    def _time_left(self) -> str:
        """Estimate from the LoRAs since the first one that was not in the store."""
        left = self._all - len(self._gaps)
        first = next(i for i, gap in enumerate(self._gaps) if gap >= STORED * max(self._gaps))
        made = self._gaps[first:]
        return f"; about {duration(left * sum(made) / len(made))} left" if left else ""
