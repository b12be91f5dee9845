"""``--lora-baseline`` in a gating run: the approved LoRA, what the policy allows, and the verdict on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core import direction
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import Allowance, Lora, Measurement, Outcome, Policy, Threshold, Verdict
from lora_checks.record.regression import comparable, judging
from lora_checks.record.regression.approved import NONE, OPTION, Judged, read_approved
from lora_checks.record.regression.changes import Change, Sides, change
from lora_checks.record.regression.comparison import NO_PAIRS, compare, row_obstacles, same_lora

Run = Mapping[str, Any]
NOT_YET = "not compared with an earlier release: --lora-baseline none"


@dataclass(frozen=True, slots=True)
class Against:
    """What the LoRAs of this run are compared with; ``approved`` is None for ``--lora-baseline none``."""

    approved: Judged | None
    allowances: tuple[Allowance, ...] = ()

    @property
    def checks(self) -> tuple[Allowance, ...]:
        """One test for each LoRA and each of these."""
        return self.allowances if self.approved is not None else ()

    def obstacles(self, run: Run) -> list[str]:
        """Why nothing of ``run`` can be compared."""
        return [] if self.approved is None else comparable.of_runs(self.approved.run, run)

    def change(self, allowance: Allowance, row: Threshold, now: Measurement, lora: Lora, run: Run) -> Change:
        """The row's difference. Raises `MeasureError` where the two are not comparable."""
        approved = self._approved
        scale = lora.scale if "scale" in approved.lora else None  # of pictures made elsewhere none is known
        found = Verdict(lora.name, lora.sha256, row.name, Outcome.PASS, "", threshold=row, measurement=now)
        obstacles = self.obstacles(run) + comparable.of_strengths(approved.lora, {"scale": scale})
        obstacles = obstacles or row_obstacles(approved, row.name, found, run)
        made = None
        if not obstacles:
            sides: Sides = 1 if allowance.rule == "bound" else 2
            same = same_lora(approved.lora, lora.sha256, scale)
            made = change(
                _measured(approved, row), now, better=direction.of_row(row, now), sides=sides, same=same
            )
        if made is None:
            raise MeasureError(
                f"{row.name} cannot be compared with the approved {approved.label}: "
                f"{'; '.join(obstacles) or NO_PAIRS}"
            )
        return made

    def judge(
        self, found: Change, allowance: Allowance, row: Threshold, now: Measurement, lora: Lora, images: str
    ) -> Verdict:
        return judging.judge(found, allowance, row, now, lora, self._approved.label, images)

    def begun(self) -> dict[str, Any]:
        """The ``baseline`` of a run that has not finished, or was killed."""
        if self.approved is None:
            return {**_EMPTY, "note": NOT_YET}
        policy = (self.approved.run.get("policy") or {}).get("digest") or ""
        return {**_EMPTY, **self.approved.about, "policy": policy, "note": UNFINISHED}

    def section(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The ``baseline`` of a document whose other parts are done; see `lora_checks.record.regression`."""
        if self.approved is None:
            return self.begun()
        approved, run = self.approved, document["run"]
        loras = [Judged(approved.path, "", run, lora) for lora in document["loras"]]
        found = [compare(approved, lora, self.allowances) for lora in loras]
        return {
            **self.begun(),
            "note": "" if self.allowances else NOTHING_LIMITED,
            "policy_differences": list(
                dict.fromkeys(text for one in found for text in one["policy_differences"])
            ),
            "notes": list(dict.fromkeys(text for one in found for text in one["notes"])),
            "pictures": list(approved.lora.get("pictures") or ()),
            "rows": [row for one in found for row in one["rows"]],
        }

    @property
    def _approved(self) -> Judged:
        assert self.approved is not None
        return self.approved


UNFINISHED = "the run has not finished, so only what `regression:` limits was compared, in rows of its own"
NOTHING_LIMITED = "the policy has no 'regression:', so no difference is limited"
_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("path", "sha256", "lora", "lora_sha256"), ""),
    "scale": None,
    **dict.fromkeys(("finished", "policy", "note"), ""),
    **{name: [] for name in ("policy_differences", "notes", "pictures", "rows")},
}


def _measured(approved: Judged, row: Threshold) -> Measurement:
    found = approved.rows[row.name].measurement
    assert found is not None  # or there would be an obstacle
    return found


def open_against(
    argument: str | None, here: Path, policy: Policy, until_decided: int | None
) -> Against | None:
    """Of ``--lora-baseline``; None without it. Raises `ConfigError`.

    A policy with ``regression:`` must be told what to compare with, be it `none`: a run that compares with
    nothing must not look like one that found nothing worse.
    """
    if argument is None:
        if policy.regression:
            raise ConfigError(
                f"{policy.regression[0].source}: regression: compares with the last approved release; name "
                f"its report with {OPTION} report.json, or say {OPTION} {NONE} where there is none yet"
            )
        return None
    if until_decided is not None and argument != NONE:
        raise ConfigError(
            f"{OPTION} compares the same prompts and seeds, and --lora-until-decided makes as many as it "
            "takes; leave one of them out"
        )
    return Against(read_approved(argument, here), policy.regression)
