"""Render the report as GitHub Markdown for a job summary or pull request, the verdict first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import PurePath

from lora_checks.core.words import printable
from lora_checks.record.rows import (
    HEADINGS,
    columns,
    errors,
    headline,
    not_run,
    power_sentences,
    reason,
    setting,
    tally,
    title,
)
from lora_checks.record.shapes import Baseline, Document, Lora, Row, Run
from lora_checks.record.shapes.votes import Votes
from lora_checks.report import experiments, leaderboard, votes_words
from lora_checks.report import regression_words as regression
from lora_checks.report.reasons import prose
from lora_checks.report.summary import sentences

MOST = 1024 * 1024 - 4096  # GitHub drops a job summary above 1 MiB; leave room for other tools

MOST_RANKED = 200  # lines of the leaderboard


def render(document: Document, votes: Votes | None = None) -> str:
    """Render the whole report, with people's votes on it if there are any."""
    blocks = [head(document), *([_voted(votes)] if votes else [])]
    size = sum(len(block.encode()) for block in blocks)
    loras = sorted(document["loras"], key=lambda lora: lora["outcome"] == "PASS")
    for i, lora in enumerate(loras):
        told = block(lora)
        size += len(told.encode())
        if size > MOST:
            blocks.append(f"\n{len(loras) - i} more LoRAs: see report.json\n")
            break
        blocks.append(told)
    return "".join(blocks)


def head(document: Document) -> str:
    """Render the verdict and the facts of the whole run."""
    told = " ".join(sentences(document)) if document["run"].get("finished") else ""
    parts = [f"# {escape(headline(document))}\n", f"\n{escape(told)}\n" if told else ""]
    parts += [_about(document["run"]), _odds(document["loras"])]
    spread = _spread(document)
    return "".join([*parts, _ranked(document), spread, _compared(document.get("baseline"))])


def _about(run: Run) -> str:
    policy = run.get("policy") or {}
    facts = [setting(run).replace("  ", ", ")]
    if policy.get("digest"):
        facts.append(f"policy {PurePath(policy.get('directory', '')).name} {policy['digest'][:6]}")
    facts += [f"{key} {run[key]}" for key in ("device", "dtype") if run.get(key)]
    return f"\n{escape(', '.join(fact for fact in facts if fact))}\n"


def _odds(loras: Sequence[Lora]) -> str:
    """Explain what rows with the rule "bound" promise together; see docs/decisions/0013."""
    rules = {row["threshold"]["rule"] for lora in loras for row in lora["rows"] if row["threshold"]}
    if "bound" not in rules:
        return ""
    return (
        "\nEach row of bounds passes a LoRA that is beyond its limit in about 5 % of runs at most. All "
        "required rows must pass, so a LoRA beyond any of these limits passes at most as often.\n"
    )


def _ranked(document: Document) -> str:
    """Render the leaderboard of several LoRAs."""
    ranking, loras = document.get("ranking"), document["loras"]
    if not ranking:
        return ""
    heads = [*leaderboard.headings(ranking), "stopped by"]
    parts = [f"\n**{escape(_capital(ranking['sentence']))}**\n", _line(heads), _line(["---"] * len(heads))]
    rows = list(zip(leaderboard.cells(ranking, loras), ranking["leaderboard"], strict=True))
    for cells, one in rows[:MOST_RANKED]:
        parts.append(_line([escape(cell) for cell in (*cells, one["outcome"], ", ".join(one["stopped_by"]))]))
    left = [f"{len(rows) - MOST_RANKED} more LoRAs: see report.json"] if len(rows) > MOST_RANKED else []
    notes = [*left, *leaderboard.sentences(ranking)[1:]]
    return "\n".join([*parts, "", *(f"- {escape(text)}" for text in notes)]) + "\n"


def _spread(document: Document) -> str:
    """Render average, minimum and maximum of each row over the images of each of several LoRAs."""
    ranking, loras = document.get("ranking"), document["loras"]
    rows = experiments.table(leaderboard.in_order(ranking, loras)[:MOST_RANKED]) if ranking else []
    if not rows:
        return ""
    head, *body = [[escape(text) for text in row] for row in rows]
    table = "\n".join(map(_line, [head, ["---"] * len(head), *body]))
    summary = "<summary>Average, minimum and maximum over the images</summary>"
    return f"\n<details>{summary}\n\n{table}\n\n</details>\n"


def _compared(section: Baseline | None) -> str:
    """Render the comparison with the last approved release: other differences, then every row's."""
    told = regression.lines(section)
    if section is None or not told:
        return ""
    parts = ["\n## " + escape(_capital(told[0])), *(f"- {escape(text)}" for text in told[1:])]
    for lora, rows in groupby(section["rows"], key=lambda row: str(row["lora"])):
        parts += ["", _line([escape(lora), *regression.HEADINGS[1:]])]
        parts.append(_line(["---"] * len(regression.HEADINGS)))
        parts += [_line([escape(cell) for cell in regression.columns(row)]) for row in rows]
    return "\n".join(parts) + "\n"


def _voted(votes: Votes) -> str:
    """Render what people preferred: sentences, then the LoRAs, rows and raters."""
    parts = ["\n## What people preferred\n", *(f"- {escape(text)}" for text in votes_words.sentences(votes))]
    for headings, rows in (votes_words.loras(votes), votes_words.rows(votes), votes_words.raters(votes)):
        if rows:
            parts += ["", _line(headings), _line(["---"] * len(headings))]
            parts += [_line([escape(cell) for cell in row]) for row in rows]
    return "\n".join(parts) + "\n"


def block(lora: Lora, places: bool = True) -> str:
    """Render one LoRA: its verdict, its rows, and its failures in words.

    Args:
        lora: A LoRA of the document.
        places: Whether to name the folders of its images, for a reader on the same machine.
    """
    measured = [row for row in lora["rows"] if row["outcome"] != "ERROR"]
    parts = [f"\n## {escape(title(lora))}: {lora['outcome']}, {escape(tally(lora))}\n"]
    for trouble, checks in errors(lora["rows"]):
        parts.append(f"- **ERROR** {escape(', '.join(checks))}: {escape(trouble)}")
    table = [columns(row) for row in measured] + [not_run(check) for check in lora["missing"]]
    if table:
        parts += ["", _line(HEADINGS), _line(["---"] * len(HEADINGS))]
        parts += [_line([escape(cell) for cell in cells]) for cells in table]
        parts.append("")
    failed = [row for row in measured if row["outcome"] != "PASS"]
    parts += [f"- **{row['outcome']}** {escape(_why(row))}" for row in failed]
    parts += [f"\n{escape(_capital(text))}." for text in power_sentences(lora)[1:]]
    ending = [f"images: {folder}" for folder in lora["images"]] if places else []
    ending += [f"SHA-256 {lora['sha256']}"] if lora["sha256"] else []
    parts += [f"\n{escape(text)}" for text in ending]
    return "\n".join(parts) + "\n"


def _why(row: Row) -> str:
    """Return the check, its reason in plain words, and the gate's own words where they say more."""
    plain, own = prose(row), reason(row)
    same = plain.rstrip(".").lower() == own.rstrip(".").lower()
    return f"{row['check']}: {own if same else f'{plain} ({own})'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Escape text so that a name cannot become markup, HTML, a table cell, link, mention or formula."""
    plain = printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quiet = re.sub(r"([\\`*_{}\[\]|~$#!])", r"\\\1", plain)
    return re.sub(r"(?i)://|\bwww\.|@", lambda found: _unlinked(found.group()), quiet)


def _unlinked(text: str) -> str:
    return text.replace(":", "&#58;").replace(".", "&#46;").replace("@", "@<!-- -->")
