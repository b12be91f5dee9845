"""Say in a few sentences what a run judged, how it ended and why, for somebody who decides on a release."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from lora_checks.core import direction
from lora_checks.core.words import count
from lora_checks.record import rows
from lora_checks.record.shapes import Baseline, Document, Lora, Run
from lora_checks.record.shapes.comparison import Change
from lora_checks.report.reasons import prose

MOST_REASONS = 2


@dataclass(frozen=True, slots=True)
class Summary:
    """What somebody who decides on a release reads first."""

    opening: str  # what was judged and how it ended
    reasons: tuple[str, ...]  # what stopped it, the worst first
    rest: tuple[str, ...]  # against the last release, and the version of the policy


def summary(document: Document) -> Summary:
    """Return what was judged and how it ended, why, how it compares, and the version of the policy."""
    run, loras = document["run"], document["loras"]
    if not loras:
        return Summary("No LoRA was judged.", (), ())
    opening = _one(loras[0], run) if len(loras) == 1 else _several(document)
    reasons = _why(loras[0], run["class_words"]) if len(loras) == 1 else _stopped(document)
    if spoiled := rows.spoiled_by(document):
        reasons.append(f"{spoiled[:1].upper()}{spoiled[1:]}.")
    rest = filter(None, (_compared(document.get("baseline")), _policy(run)))
    return Summary(opening, tuple(reasons), tuple(rest))


def sentences(document: Document) -> list[str]:
    """Return the summary as sentences in one line."""
    told = summary(document)
    return [told.opening, *told.reasons, *told.rest]


def _one(lora: Lora, run: Run) -> str:
    required = [row for row in lora["rows"] if row["required"]]
    total = count(len(required) + len(lora["missing"]), "required row")
    images = count(len(lora.get("pictures") or ()), "image")
    undecided = sum(row["outcome"] == "INCONCLUSIVE" for row in required)
    ending = {
        "PASS": f"passed all {total} on {images}",
        "FAIL": ": ".join(filter(None, (f"did not pass on {images}", endings(lora, total)))),
        "INCONCLUSIVE": f"is undecided: {images} are too few to tell for {undecided} of {total}",
        "ERROR": f"could not be judged: {endings(lora, total)}",
        "INCOMPLETE": f"has no verdict yet: {len(lora['missing'])} of {total} were not run",
    }[lora["outcome"]]
    if lora["outcome"] == "ERROR" and all(row["outcome"] == "PASS" for row in required):
        ending = f"passed its {total}, but the run went wrong"
    base = f", a LoRA for {run['base']['label'] or run['base']['model']}," if run.get("base") else ""
    return f"{rows.title(lora)}{base} {ending}."


def endings(lora: Lora, total: str) -> str:
    """Return "6 of 13 required rows failed, and 2 are undecided", of a LoRA that did not pass."""
    found = Counter(row["outcome"] for row in lora["rows"] if row["required"])
    few = found["INCONCLUSIVE"] == 1
    said = [
        (found["FAIL"], "failed"),
        (found["ERROR"], "could not be measured"),
        (found["INCONCLUSIVE"], "is undecided" if few else "are undecided"),
        (len(lora["missing"]), "not run"),
    ]
    if lora["outcome"] == "ERROR":
        said[:2] = said[1::-1]
    parts = [f"{number} {words}" for number, words in said if number]
    parts[:1] = [parts[0].replace(" ", f" of {total} ", 1)] if parts else []
    return ", and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _why(lora: Lora, class_words: str) -> list[str]:
    """Return the reasons that stopped it, the worst first, each once."""
    bad = [row for row in lora["rows"] if row["required"] and row["outcome"] != "PASS"]
    shown = [reason.replace(lora["path"], rows.title(lora)) for reason, _ in rows.errors(bad)]
    reasons = [reason if reason.endswith(".") else f"{reason}." for reason in shown]
    failed = list(
        dict.fromkeys(
            f"{row['check']}: {prose(row, class_words)}" for row in bad if row["outcome"] != "ERROR"
        )
    )
    reasons = reasons + failed if lora["outcome"] == "ERROR" else failed + reasons
    return _first(reasons, "more reason")


def _first(reasons: Sequence[str], noun: str) -> list[str]:
    more = len(reasons) - MOST_REASONS
    return [*reasons[:MOST_REASONS], *([f"{count(more, noun)} below."] if more > 0 else [])]


def _several(document: Document) -> str:
    """Return which is the best, or how many passed; the headline has the rest."""
    standing, ranking = rows.standing(document["loras"]), document.get("ranking")
    best = ranking["best"] if ranking else None
    if ranking is None or best is None:
        return f"{standing[:1].upper()}{standing[1:]}."
    place = ranking["leaderboard"][0]
    step = "" if place["step"] is None else f" (step {place['step']})"
    passed = sum(lora["outcome"] == "PASS" for lora in document["loras"])
    if passed == 1:
        return f"{best['lora']}{step} is the only one that passed."
    return f"{best['lora']}{step} is the best of the {passed} that passed."


def _stopped(document: Document) -> list[str]:
    """Return for each LoRA that did not pass the first reason."""
    stopped = [
        (lora, _why(lora, document["run"]["class_words"]))
        for lora in document["loras"]
        if lora["outcome"] != "PASS"
    ]
    said = [
        why[0] if why[0].startswith(rows.title(lora)) else f"{rows.title(lora)}, {why[0]}"
        for lora, why in stopped
        if why
    ]
    return _first(said, "more LoRA")


def _compared(baseline: Baseline | None) -> str:
    """Return how many rows changed since the last approved release."""
    if not baseline:
        return ""
    if not baseline["sha256"]:
        return "It was compared with no earlier release."
    judged = [row for row in baseline["rows"] if row["outcome"]]
    worse = sum(row["outcome"] == "FAIL" for row in judged)
    unsure = sum(row["outcome"] not in ("FAIL", "PASS") for row in judged)
    name = f"Compared with the last release ({baseline['lora']}),"
    if not judged:
        return f"{name} {_moved(baseline['rows'])}."
    found = [f"{worse or 'none'} of {count(len(judged), 'row')} {_be(worse)} worse than allowed"]
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
        return "no row changed more than chance explains"
    worse, better = words.count("worse"), words.count("better")
    down = f"{worse or 'none'} of {count(len(changes), 'row')} {_be(worse)} worse"
    return f"{down} and {better or 'none'} {_be(better)} better, by more than chance explains"


def _be(rows: int) -> str:
    return "are" if rows > 1 else "is"


def _policy(run: Run) -> str:
    policy = run.get("policy") or {}
    if not policy.get("digest"):
        return ""
    return f"Judged by policy {PurePath(policy.get('directory', '')).name}, version {policy['digest'][:12]}."
