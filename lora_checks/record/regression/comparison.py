"""Compare two judged LoRAs row by row. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lora_checks.core import direction
from lora_checks.core.records import Allowance, Verdict
from lora_checks.record import shapes
from lora_checks.record.codec import plain
from lora_checks.record.regression import comparable, policy_changes
from lora_checks.record.regression.approved import Judged
from lora_checks.record.regression.changes import Change, Sides, change
from lora_checks.record.regression.shared import OF_ALL, needs_all, on_shared
from lora_checks.record.shapes import Begun, Run
from lora_checks.record.shapes.comparison import Comparison, Numbers

NO_CHANGE: Numbers = {
    "label": "",
    "better": "",
    "kind": "",
    "before": None,
    "value": None,
    "difference": None,
    "low": None,
    "high": None,
    "confidence": None,
    "sides": None,
    "pairs": 0,
    "lost": 0,
    "found": 0,
    "absent": 0,
    "prompts": [],
}
NO_PAIRS = "no image has a value in both"


def same_lora(before: Begun, sha256: str, scale: float | None) -> bool:
    """Tell whether a LoRA of a report is this file at this strength."""
    return bool(sha256) and before["sha256"] == sha256 and before.get("scale") == scale


def compare(
    before: Judged,
    now: Judged,
    allowances: Sequence[Allowance] = (),
    strengths_differ: bool = False,
    prompts_differ: bool = False,
) -> Comparison:
    """Return every row's difference; see `lora_checks.record.regression`.

    Args:
        before: the LoRA to compare with.
        now: the LoRA that is compared.
        allowances: how much worse a row may become; the rows that they limit come first.
        strengths_differ: allow different strengths, when the strengths are what is compared.
        prompts_differ: allow different prompts, and compare on those that both have.
    """
    whole = before, now
    before, now, shared = on_shared(before, now) if prompts_differ else (before, now, [])
    reasons = comparable.of_runs(before.run, now.run)
    strengths = comparable.of_strengths(before.lora.get("scale"), now.lora.get("scale"))
    notes = shared + comparable.notes(before.run, now.run) + (strengths if strengths_differ else [])
    obstacles = reasons + ([] if strengths_differ else strengths)
    allowed = {allowance.row: allowance for allowance in allowances}
    order = {check: i for i, check in enumerate(allowed)}
    rows = [
        _row(check, before, now, obstacles, allowed.get(check), partial=bool(shared))
        for check, verdict in now.rows.items()
        if verdict.threshold is not None
    ]
    return {
        "policy_differences": policy_differences(*whole),
        "notes": notes,
        "rows": sorted(rows, key=lambda row: order.get(row["check"], len(order))),
    }


def policy_differences(before: Judged, now: Judged) -> list[str]:
    """Say how the policies of two runs differ.

    A row that one of the runs did not reach is left out, because its limits there are unknown.
    """
    sides = before, now
    unknown = {check for side in sides for check in side.lora["missing"]}
    unknown |= {check for side in sides for check, v in side.verdicts.items() if v.threshold is None}
    changes = [{check for check, verdict in side.verdicts.items() if verdict.change_of} for side in sides]
    if not all(changes):  # a run without a baseline has no comparisons
        unknown = unknown.union(*changes)
    was, rows = (
        {
            check: verdict.threshold
            for check, verdict in side.verdicts.items()
            if verdict.threshold is not None and check not in unknown
        }
        for side in sides
    )
    old, new = (_parts(side.run) for side in sides)
    return policy_changes.differences(was, rows, old, new, changes[0] | changes[1])


def _parts(run: Run) -> dict[str, str]:
    policy = run.get("policy")
    return policy.get("parts") or {} if policy else {}


def _row(
    check: str,
    before: Judged,
    now: Judged,
    obstacles: Sequence[str],
    allowance: Allowance | None,
    partial: bool,
) -> shapes.comparison.Change:
    verdict = now.rows[check]
    sides: Sides = 1 if allowance is not None and allowance.rule == "bound" else 2
    moved: Change | None = None
    reasons = list(obstacles) or row_obstacles(before, check, verdict, now.run)
    if partial and not reasons and verdict.measurement and needs_all(verdict.measurement):
        reasons = [OF_ALL]
    was, m = before.rows[check].measurement if check in before.rows else None, verdict.measurement
    if not reasons and was is not None and m is not None and verdict.threshold is not None:
        same = same_lora(before.lora, now.lora["sha256"], now.lora.get("scale"))
        moved = change(was, m, better=direction.of_row(verdict.threshold, m), sides=sides, same=same)
        reasons = [NO_PAIRS] if moved is None else []
    judged = _judged(now, allowance)
    return {
        "lora": now.name,
        "check": check,
        "metric": verdict.threshold.metric if verdict.threshold else "",
        **(NO_CHANGE if moved is None else numbers(moved)),
        "allowed": None if allowance is None else allowance.allowed,
        "outcome": judged["outcome"] if judged else "",
        "reason": judged["reason"] if judged else "",
        "not_compared": "; ".join(reasons),
    }


def row_obstacles(before: Judged, check: str, now: Verdict, run: Run) -> list[str]:
    """Say why a row of this run cannot be compared with the same row of an earlier one."""
    if check not in before.rows:
        return [f"the report {before.path.name} has no row '{check}'"]
    return comparable.of_rows(before.rows[check], now, before.run, run)


def numbers(moved: Change) -> Numbers:
    """Return a change in the document's form."""
    return cast(Numbers, plain({name: getattr(moved, name) for name in NO_CHANGE}))


def _judged(now: Judged, allowance: Allowance | None) -> shapes.Row | None:
    """Return the row of the document that judges this difference."""
    if allowance is None:
        return None
    return next((row for row in now.lora["rows"] if row.get("change_of") == allowance.row), None)
