"""Turn the document into the templates' values: plain values with printable text and no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lora_checks.core.words import count, number, printable
from lora_checks.record import rows
from lora_checks.record.rows import caveat, headline, tally, title
from lora_checks.record.shapes import Document, Lora, Row, Run
from lora_checks.report import questions, reasons
from lora_checks.report.html import approved, facts, ranking, remark, scale, spans
from lora_checks.report.summary import Summary, endings, summary

# A symbol with each word, so that the verdict does not depend on colour or language alone.
SYMBOLS = {
    "PASS": "✓", "FAIL": "✕", "ERROR": "!", "INCONCLUSIVE": "≈", "INCOMPLETE": "…", "NOT RUN": "…",
}  # fmt: skip
MANY = 3  # more LoRAs than this: those that passed are collapsed
MOST_OPEN = 8  # more than this: all are


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the page shows it."""

    outcome: str
    check: str
    metric: str
    value: str
    interval: str
    limits: str
    needs: str  # which true values pass in 90 % and 99 % of runs
    notes: tuple[str, ...]
    prose: str  # the reason in plain words; "" if the row passed without a measurement
    reason: str  # the gate's own; "" if the row passed or the prose is the same
    why: str  # of the policy
    network: str
    drawing: scale.Drawing | None
    sheet: bool  # whether images can be sorted by this row


@dataclass(frozen=True, slots=True)
class Block:
    """A LoRA as the page shows it."""

    number: int
    name: str
    outcome: str
    tally: str
    refused: tuple[tuple[str, str], ...]  # reason that stopped several rows, and their names
    lines: tuple[Line, ...]
    folders: tuple[str, ...]
    sha256: str
    power: str  # how often a LoRA passes all rows
    open: bool


def context(document: Document) -> dict[str, Any]:
    """Return the values of the whole page except pictures and charts."""
    run, loras = document["run"], document["loras"]
    blocks = [block(i, lora, len(loras), run["class_words"]) for i, lora in enumerate(loras)]
    words = headline(document).partition(": ")[2] if run.get("finished") else so_far(loras)
    return {
        "outcome": document["outcome"],
        "run": printable(str(run.get("started") or run.get("finished"))),
        "finished": bool(run.get("finished")),
        "symbols": SYMBOLS,
        "headline": printable(_subject(document) or words),
        "summary": _summary(document) if run.get("finished") else None,
        "heading": printable(f"{document['outcome']}: {words}"),
        "setting": [printable(part) for part in setting(run)],
        "caveat": printable(caveat(run)),
        "warnings": [printable(str(warning)) for warning in run.get("warnings") or ()],
        "blocks": blocks,
        "scales": any(line.drawing for block in blocks for line in block.lines),
        "overview": overview(document) if len(loras) > 1 else None,
        "spans": spans.context(document),
        "facts": facts.groups(document),
        "loras": len(loras),
        "ranking": ranking.context(document),
        "baseline": approved.context(document),
    }


def _subject(document: Document) -> str:
    """Return the name of the only LoRA, if the summary below it says how it ended; else ""."""
    alone = len(document["loras"]) == 1 and document["run"].get("finished")
    return title(document["loras"][0]) if alone and not rows.spoiled_by(document) else ""


def _summary(document: Document) -> Summary:
    told = summary(document)
    return Summary(
        printable(told.opening), tuple(map(printable, told.reasons)), tuple(map(printable, told.rest))
    )


def so_far(loras: Sequence[Lora]) -> str:
    """Return "2 of 8 LoRAs judged so far" for a run that is going on or was killed."""
    if len(loras) == 1:
        judged = len(loras[0]["rows"])
        return (
            f"{title(loras[0])}, {judged} of {count(judged + len(loras[0]['missing']), 'row')} judged so far"
        )
    judged = sum(not lora["missing"] for lora in loras)
    return f"{judged} of {count(len(loras), 'LoRA')} judged so far"


def setting(run: Run) -> list[str]:
    """Summarise the run: "base miniature-sd 3f2a91", "16 prompts x 2 seeds", ..."""
    base, most = run.get("base"), run.get("until_decided")
    parts = [f"base {base['label']}"] if base else []
    parts.append(f"{count(len(run['prompts']), 'prompt')} × {count(len(run['seeds']), 'seed')}")
    if most is not None:
        parts.append(f"up to {count(most, 'image')}")
    parts += [f"with {lora['name']} at {lora['scale']:g}" for lora in run.get("companions") or ()]
    parts.append(" ".join(filter(None, (run["device"], run.get("dtype")))))
    parts.append(facts.moment(run.get("finished") or run.get("started")))
    return [part for part in parts if part]


def block(i: int, lora: Lora, loras: int, class_words: str) -> Block:
    refused = [(reason, checks) for reason, checks in rows.errors(lora["rows"]) if len(checks) > 1]
    stated = {reason for reason, _ in refused}
    lines = [
        line(row, class_words)
        for row in lora["rows"]
        if row["outcome"] != "ERROR" or rows.reason(row) not in stated
    ]
    lines += [_not_run(check) for check in lora["missing"]]
    return Block(
        number=i,
        name=printable(title(lora)),
        outcome=lora["outcome"],
        tally=printable(_ending(lora)),
        refused=tuple((printable(reason), printable(", ".join(checks))) for reason, checks in refused),
        lines=tuple(lines),
        folders=tuple(printable(folder) for folder in lora["images"]),
        sha256=printable(lora["sha256"] or ""),
        power=printable(_together(lora)),
        open=loras <= MANY or (loras <= MOST_OPEN and lora["outcome"] != "PASS"),
    )


def _ending(lora: Lora) -> str:
    total = count(sum(row["required"] for row in lora["rows"]) + len(lora["missing"]), "row")
    return tally(lora) if lora["outcome"] in ("PASS", "INCOMPLETE") else endings(lora, total) or tally(lora)


def _together(lora: Lora) -> str:
    """Say how often such a LoRA passes all rows, which are not independent chances of failing."""
    power = lora.get("power")
    if not power:
        return ""
    found = f"A LoRA with the values measured here passes all rows in {_percent(power['as_found'])} of runs."
    just = [f"{_percent(at['chance'])} value in {_percent(at['passes'])}" for at in power["at"]]
    edge = f' One that only just has each row\'s {", and the ".join(just)} (see "Why this limit").'
    return found + (edge if just else "")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def line(row: Row, class_words: str) -> Line:
    outcome, check, metric, value, interval, limits, _, _ = map(printable, rows.columns(row))
    m, threshold = row["measurement"], row["threshold"]
    prose = "" if outcome == "PASS" and not m else printable(reasons.prose(row, class_words))
    own = printable(rows.reason(row))
    return Line(
        outcome=outcome,
        check=check,
        metric=printable(questions.asked(row, class_words)) or metric,
        value=value,
        interval=interval,
        limits=limits,
        needs=printable(remark.needs(row)),
        notes=tuple(printable(text) for text in remark.remarks(row)),
        prose=prose,
        reason="" if outcome == "PASS" or own.rstrip(".").lower() == prose.rstrip(".").lower() else own,
        why=printable(threshold["why"]) if threshold else "",
        network=printable(", ".join(filter(None, (m["label"], m["against"])))) if m else "",
        drawing=scale.drawing(row),
        sheet=bool(m and m["per_image"]),
    )


def _not_run(check: str) -> Line:
    return Line(
        "NOT RUN", printable(check), "", "", "", "", "", (), "It has no verdict yet.", "", "", "", None, False
    )


def overview(document: Document) -> dict[str, Any]:
    """Tabulate LoRAs by checks, with outcome and value in each cell."""
    loras = document["loras"]
    names = [row["check"] for lora in loras for row in lora["rows"]]
    names += [check for lora in loras for check in lora["missing"]]
    checks = list(dict.fromkeys(names))
    lines = []
    for i, lora in enumerate(loras):
        own = {row["check"]: row for row in lora["rows"]}
        cells = [_cell(own.get(check)) for check in checks]
        name = printable(title(lora))
        lines.append({"number": i, "name": name, "outcome": lora["outcome"], "cells": cells})
    return {"checks": [printable(check) for check in checks], "loras": lines}


def _cell(row: Row | None) -> tuple[str, str]:
    if row is None:
        return "NOT RUN", ""
    m, threshold = row["measurement"], row["threshold"]
    limits = (threshold["min"], threshold["max"]) if threshold else ()
    shown = number(m["value"], limits) if m else ""
    return row["outcome"], shown
