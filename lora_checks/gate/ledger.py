"""Keep what a run must judge and what it has judged, and derive its outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lora_checks.core.records import Allowance, Outcome, Threshold, Verdict
from lora_checks.judge.verdict import RunOutcome, passed

FILE_CHECK = "file"  # the row of the LoRA file itself, before any threshold
APPLIED_CHECK = "applied"  # the row of the proof that it is applied to the base as its file says
IMAGES_CHECK = "images"  # the row of pictures made elsewhere: they are those that the policy asks for
OWN_CHECKS = (FILE_CHECK, APPLIED_CHECK, IMAGES_CHECK)

ONCE = "; a rerun passed, but it is not a verdict: the row was not judged again, so run the command again"

Pair = tuple[str, str]  # a LoRA and a check


@dataclass
class Ledger:
    """The verdicts of a run, and the (LoRA, check) pairs that a PASS needs."""

    required: tuple[Pair, ...]
    verdicts: dict[Pair, Verdict] = field(default_factory=dict)
    other_failures: dict[str, None] = field(default_factory=dict)  # failed tests that are not rows

    def enter(self, verdict: Verdict, again: bool = False) -> bool:
        """Enter a verdict; return whether it counts.

        If a check reports twice (``--dist each``), the first verdict that is not PASS wins. So a rerun cannot
        turn it into a PASS; if the rerun passes, the verdict says what to do.

        Args:
            verdict: of one row.
            again: whether its test is run again.
        """
        pair = (verdict.lora, verdict.check)
        known = self.verdicts.get(pair)
        if known is not None and known.outcome is not Outcome.PASS:
            if again and verdict.outcome is Outcome.PASS and not known.reason.endswith(ONCE):
                self.verdicts[pair] = replace(known, reason=f"{known.reason}{ONCE}")
            return False
        if known is not None and verdict.outcome is Outcome.PASS:
            return False
        self.verdicts[pair] = verdict
        return True

    def enter_failure(self, name: str) -> None:
        """Enter the failure of something that is not a row, such as one of the user's own tests."""
        self.other_failures[name] = None

    def of(self, lora: str) -> list[Verdict]:
        """Return the verdicts of one LoRA in the order of arrival."""
        return [verdict for verdict in self.verdicts.values() if verdict.lora == lora]

    @property
    def outcome(self) -> RunOutcome:
        """PASS only if every required pair has a verdict, each of them is PASS, and nothing else failed."""
        outcome = passed(list(self.verdicts.values()), self.required).outcome
        return "ERROR" if outcome == "PASS" and self.other_failures else outcome

    @property
    def not_passed(self) -> list[Pair]:
        """Return the required pairs that did not pass, judged or not."""
        passing = {pair for pair, verdict in self.verdicts.items() if verdict.outcome is Outcome.PASS}
        return [pair for pair in self.required if pair not in passing]


def required(
    loras: Iterable[str], own: Sequence[str], rows: Sequence[Threshold], allowances: Sequence[Allowance]
) -> tuple[Pair, ...]:
    """Return the (LoRA, check) pairs that a PASS needs, whatever was collected or deselected.

    Args:
        loras: names of the LoRAs.
        own: the gate's own checks, of `OWN_CHECKS`.
        rows: the rows of thresholds.yaml; those that are not required are left out.
        allowances: checks against the last approved release.
    """
    needed = [row.name for row in rows if row.required]
    no_worse = [allowance.check for allowance in allowances]
    return tuple((lora, check) for lora in loras for check in (*own, *needed, *no_worse))
