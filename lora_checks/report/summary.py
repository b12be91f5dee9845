"""Say in a few sentences what a run judged, how it ended and why, for somebody who decides on a release."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from lora_checks.core import direction
from lora_checks.core.words import count
from lora_checks.record import rows
from lora_checks.record.shapes import Baseline, Document, Lora, Run
from lora_checks.record.shapes.comparison import Change
from lora_checks.report.reasons import prose

MOST_REASONS = 2


def sentences(document: Document) -> list[str]:
    """Return what was judged and how it ended, why, how it compares, and the version of the policy."""
    run, loras = document["run"], document["loras"]
    if not loras:
        return ["No LoRA was judged."]
    parts = [_one(loras[0], run), *_why(loras[0])] if len(loras) == 1 else _several(document)
    if spoiled := rows.spoiled_by(document):
        parts.append(f"{spoiled[:1].upper()}{spoiled[1:]}.")
    return [part for part in (*parts, _compared(document.get("baseline")), _policy(run)) if part]


def _one(lora: Lora, run: Run) -> str:
    required = [row for row in lora["rows"] if row["required"]]
    total = count(len(required) + len(lora["missing"]), "required row")
    bad = [row for row in required if row["outcome"] != "PASS"]
    made = f" on {count(len(lora.get('pictures') or ()), 'image')}"
    ending = {
        "PASS": f"passed all {total}{made}",
        "FAIL": f"did not pass{made}: {len(bad)} of {total} did not",
        "INCONCLUSIVE": f"is undecided{made}: they are too few to tell for {len(bad)} of {total}",
        "ERROR": f"could not be judged: {len(bad)} of {total} could not be measured",
        "INCOMPLETE": f"has no verdict yet: {len(lora['missing'])} of {total} were not run",
    }[lora["outcome"]]
    if lora["outcome"] == "ERROR" and not bad:
        ending = f"passed its {total}, but the run went wrong"
    base = f", a LoRA for {run['base']['label'] or run['base']['model']}," if run.get("base") else ""
    return f"{rows.title(lora)}{base} {ending}."


def _why(lora: Lora) -> list[str]:
    """Return the reasons that stopped it, the worst first, each once."""
    bad = [row for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    reasons = list(dict.fromkeys(f"{row['check']}: {prose(row)}" for row in bad if row["outcome"] != "ERROR"))
    reasons += [reason if reason.endswith(".") else f"{reason}." for reason, _ in rows.errors(bad)]
    more = len(reasons) - MOST_REASONS
    return reasons[:MOST_REASONS] + ([f"{count(more, 'more reason')} below."] if more > 0 else [])


def _several(document: Document) -> list[str]:
    loras, ranking = document["loras"], document.get("ranking")
    passed = sum(lora["outcome"] == "PASS" for lora in loras)
    parts = [f"{passed or 'None'} of {len(loras)} LoRAs passed."]
    if ranking:
        parts.append(f"{ranking['sentence'][:1].upper()}{ranking['sentence'][1:]}.")
    return parts


def _compared(baseline: Baseline | None) -> str:
    """Return how many rows changed since the last approved release."""
    if not baseline:
        return ""
    if not baseline["sha256"]:
        return "It was compared with no earlier release."
    judged = [row for row in baseline["rows"] if row["outcome"]]
    worse = sum(row["outcome"] == "FAIL" for row in judged)
    unsure = sum(row["outcome"] not in ("FAIL", "PASS") for row in judged)
    name = f"Compared with the last release, {baseline['lora']},"
    if not judged:
        return f"{name} {_moved(baseline['rows'])}."
    found = [f"{worse or 'no'} of {count(len(judged), 'row')} {_be(worse)} worse than allowed"]
    found += [f"{unsure} could not be told"] if unsure else []
    return f"{name} {' and '.join(found)}."


def _moved(changes: Sequence[Change]) -> str:
    """Count the rows whose change is beyond chance: its interval leaves out 0."""
    words = [
        direction.word(row["difference"], row["better"])
        for row in changes
        if row["difference"] and row["low"] is not None and row["high"] is not None
        and not row["low"] <= 0 <= row["high"]
    ]  # fmt: skip
    if not words:
        return "no row changed beyond chance"
    worse, better = words.count("worse"), words.count("better")
    down = f"{worse or 'no'} of {count(len(changes), 'row')} {_be(worse)} worse"
    return f"{down} and {better or 'none'} {_be(better)} better beyond chance"


def _be(rows: int) -> str:
    return "are" if rows > 1 else "is"


def _policy(run: Run) -> str:
    policy = run.get("policy") or {}
    if not policy.get("digest"):
        return ""
    return (
        f"Judged under policy {PurePath(policy.get('directory', '')).name} version {policy['digest'][:12]}."
    )
