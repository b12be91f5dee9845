"""Compare the LoRAs of a gating run with the approved one, as ``--lora-baseline`` asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lora_checks.core import direction
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import Allowance, Lora, Measurement, Outcome, Policy, Threshold, Verdict
from lora_checks.record.regression import comparable, judging
from lora_checks.record.regression.approved import NONE, OPTION, Judged, read_approved
from lora_checks.record.regression.changes import Change, Sides, change
from lora_checks.record.regression.comparison import NO_PAIRS, compare, row_obstacles, same_lora
from lora_checks.record.shapes import Baseline, Document, Run

NOT_YET = "not compared with an earlier release: --lora-baseline none"


@dataclass(frozen=True, slots=True)
class Against:
    """The approved LoRA, None for ``--lora-baseline none``, and how much worse each row may be."""

    approved: Judged | None
    allowances: tuple[Allowance, ...] = ()

    @property
    def checks(self) -> tuple[Allowance, ...]:
        """The checks that each LoRA has a test for."""
        return self.allowances if self.approved is not None else ()

    def obstacles(self, facts: Mapping[str, Any]) -> list[str]:
        """Say why nothing of a run can be compared, from the facts that the run records."""
        return [] if self.approved is None else comparable.of_runs(self.approved.run, cast(Run, facts))

    def change(
        self, allowance: Allowance, row: Threshold, now: Measurement, lora: Lora, facts: Mapping[str, Any]
    ) -> Change:
        """Return how a row differs from the approved LoRA's.

        Args:
            allowance: how much worse the row may be.
            row: the row of the policy.
            now: what was measured for it.
            lora: the LoRA of this run.
            facts: the facts that the run records.

        Raises:
            MeasureError: the two cannot be compared.
        """
        approved = self._approved
        scale = lora.scale if "scale" in approved.lora else None  # not known for pictures made elsewhere
        verdict = Verdict(lora.name, lora.sha256, row.name, Outcome.PASS, "", threshold=row, measurement=now)
        strengths = comparable.of_strengths(approved.lora.get("scale"), scale)
        obstacles = self.obstacles(facts) + strengths
        obstacles = obstacles or row_obstacles(approved, row.name, verdict, cast(Run, facts))
        moved = None
        if not obstacles:
            sides: Sides = 1 if allowance.rule == "bound" else 2
            same, better = same_lora(approved.lora, lora.sha256, scale), direction.of_row(row, now)
            moved = change(_measured(approved, row), now, better=better, sides=sides, same=same)
        if moved is None:
            raise MeasureError(
                f"{row.name} cannot be compared with the approved {approved.label}: "
                f"{'; '.join(obstacles) or NO_PAIRS}"
            )
        return moved

    def judge(
        self, moved: Change, allowance: Allowance, row: Threshold, now: Measurement, lora: Lora, images: str
    ) -> Verdict:
        """Return the verdict on a change; see `judging.judge`."""
        return judging.judge(moved, allowance, row, now, lora, self._approved.label, images)

    def begun(self) -> Baseline:
        """Return the ``baseline`` of a run that has not finished, or was killed."""
        if self.approved is None:
            return {**_EMPTY, "note": NOT_YET}
        policy = self.approved.run["policy"]["digest"]
        return {**_EMPTY, **self.approved.about, "policy": policy, "note": UNFINISHED}

    def section(self, document: Document) -> Baseline:
        """Return the ``baseline`` of a document that is otherwise complete."""
        if self.approved is None:
            return self.begun()
        approved = self.approved
        loras = [Judged(approved.path, "", document["run"], lora) for lora in document["loras"]]
        compared = [compare(approved, lora, self.allowances) for lora in loras]
        return {
            **self.begun(),
            "note": "" if self.allowances else NOTHING_LIMITED,
            "policy_differences": _once(text for part in compared for text in part["policy_differences"]),
            "notes": _once(text for part in compared for text in part["notes"]),
            "pictures": list(approved.lora.get("pictures") or ()),
            "rows": [row for part in compared for row in part["rows"]],
        }

    @property
    def _approved(self) -> Judged:
        assert self.approved is not None
        return self.approved


UNFINISHED = "the run has not finished, so only what `regression:` limits was compared, in rows of its own"
NOTHING_LIMITED = "the policy has no 'regression:', so no difference is limited"
_EMPTY: Baseline = {
    "path": "",
    "sha256": "",
    "lora": "",
    "lora_sha256": "",
    "scale": None,
    "finished": "",
    "policy": "",
    "note": "",
    "policy_differences": [],
    "notes": [],
    "pictures": [],
    "rows": [],
}


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _measured(approved: Judged, row: Threshold) -> Measurement:
    measurement = approved.rows[row.name].measurement
    assert measurement is not None, "row_obstacles() names a row without a measurement"
    return measurement


def open_against(
    argument: str | None, here: Path, policy: Policy, until_decided: int | None
) -> Against | None:
    """Return what ``--lora-baseline`` names; None without the option.

    A policy with ``regression:`` needs the option, even if it is `none`: a run that compared with nothing
    must not look like a run that found nothing worse.

    Args:
        argument: the value of the option; None without it.
        here: the folder that relative paths start from.
        policy: the policy of the run.
        until_decided: the most images of a run that stops once it is decided; else None.

    Raises:
        ConfigError: the option is missing, names no approved LoRA, or cannot be used in this run.
    """
    if argument is None:
        if policy.regression:
            raise ConfigError(
                f"{policy.regression[0].source}: regression: compares with the last approved release; name "
                f"its report with {OPTION} report.json, or say {OPTION} {NONE} if there is none yet"
            )
        return None
    if until_decided is not None and argument != NONE:
        raise ConfigError(
            f"{OPTION} compares the same prompts and seeds, and --lora-until-decided makes as many as it "
            "takes; leave one of them out"
        )
    return Against(read_approved(argument, here), policy.regression)
