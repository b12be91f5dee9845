"""Two judged LoRAs -> every row's difference, as it stands in a document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lora_checks.core import direction
from lora_checks.core.records import Allowance, Verdict
from lora_checks.record.codec import plain
from lora_checks.record.regression import comparable, policy_changes
from lora_checks.record.regression.approved import Judged
from lora_checks.record.regression.changes import Change, Sides, change

Row = dict[str, Any]
NO_CHANGE: Row = {
    **dict.fromkeys(("label", "better", "kind"), ""),
    **dict.fromkeys(("before", "value", "difference", "low", "high", "confidence", "sides")),
    **dict.fromkeys(("pairs", "lost", "found", "absent"), 0),
    "prompts": [],
}


def same_lora(before: Mapping[str, Any], sha256: str, scale: float | None) -> bool:
    return bool(sha256) and before["sha256"] == sha256 and before.get("scale") == scale


def compare(
    before: Judged, now: Judged, allowances: Sequence[Allowance] = (), strengths_differ: bool = False
) -> Row:
    """{"policy_differences", "notes", "rows"} of `lora_checks.record.regression`'s structure.

    ``strengths_differ`` allows the two to be at different strengths: that is then what is compared.
    """
    reasons = comparable.of_runs(before.run, now.run)
    strengths = comparable.of_strengths(before.lora, now.lora)
    notes = comparable.notes(before.run, now.run) + (strengths if strengths_differ else [])
    obstacles = reasons + ([] if strengths_differ else strengths)
    allowed = {one.row: one for one in allowances}
    order = {check: i for i, check in enumerate(allowed)}
    rows = [
        _row(check, before, now, obstacles, allowed.get(check))
        for check, found in now.rows.items()
        if found.threshold is not None
    ]
    return {
        "policy_differences": policy_differences(before, now),
        "notes": notes,
        "rows": sorted(rows, key=lambda row: order.get(row["check"], len(order))),  # what is judged first
    }


def policy_differences(before: Judged, now: Judged) -> list[str]:
    """Without rows that one of the runs did not come to: nobody knows what it would have asked of them."""
    sides = before, now
    unknown = {check for one in sides for check in one.lora.get("missing", ())}
    unknown |= {check for one in sides for check, found in one.verdicts.items() if found.threshold is None}
    changes = [{check for check, verdict in one.verdicts.items() if verdict.change_of} for one in sides]
    if not all(changes):  # a run without a baseline comes to no comparison
        unknown = unknown.union(*changes)
    was, rows = (
        {
            check: found.threshold
            for check, found in one.verdicts.items()
            if found.threshold is not None and check not in unknown
        }
        for one in sides
    )
    old, new = ((one.run.get("policy") or {}).get("parts") or {} for one in (before, now))
    return policy_changes.differences(was, rows, old, new, changes[0] | changes[1])


def _row(
    check: str, before: Judged, now: Judged, obstacles: Sequence[str], allowance: Allowance | None
) -> Row:
    found = now.rows[check]
    sides: Sides = 1 if allowance is not None and allowance.rule == "bound" else 2
    made: Change | None = None
    reasons = list(obstacles) or row_obstacles(before, check, found, now.run)
    was, m = before.rows[check].measurement if check in before.rows else None, found.measurement
    if not reasons and was is not None and m is not None and found.threshold is not None:
        same = same_lora(before.lora, str(now.lora["sha256"]), now.lora.get("scale"))
        made = change(was, m, better=direction.of_row(found.threshold, m), sides=sides, same=same)
        reasons = [NO_PAIRS] if made is None else []
    judged = _judged(now, allowance)
    return {
        "lora": now.name,
        "check": check,
        "metric": found.threshold.metric if found.threshold else "",
        **(NO_CHANGE if made is None else numbers(made)),
        "allowed": None if allowance is None else allowance.allowed,
        "outcome": judged.get("outcome", ""),
        "reason": judged.get("reason", ""),
        "not_compared": "; ".join(reasons),
    }


NO_PAIRS = "no image has a value in both"


def row_obstacles(before: Judged, check: str, now: Verdict, run: Mapping[str, Any]) -> list[str]:
    if check not in before.rows:
        return [f"the report {before.path.name} has no row '{check}'"]
    return comparable.of_rows(before.rows[check], now, before.run, run)


def numbers(found: Change) -> Row:
    values: Row = plain({name: getattr(found, name) for name in NO_CHANGE})
    return values


def _judged(now: Judged, allowance: Allowance | None) -> Mapping[str, Any]:
    """The row of the document that judges this difference."""
    if allowance is None:
        return {}
    rows: Sequence[Mapping[str, Any]] = now.lora["rows"]
    return next((row for row in rows if row["check"] == allowance.check), {})
