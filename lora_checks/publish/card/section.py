"""Write our section of a card, between two comments; a later card replaces only this section."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

from lora_checks.core.errors import CardError
from lora_checks.core.words import count, number
from lora_checks.publish.card.pictures import Sample
from lora_checks.publish.card.reproduction import command, placeless
from lora_checks.record.approval import Approval
from lora_checks.record.rows import HEADINGS, caveat, columns, errors, not_run, setting, tally, title, words
from lora_checks.record.shapes import Document, Lora, Run
from lora_checks.record.shapes.votes import Votes
from lora_checks.report.markdown import escape
from lora_checks.report.votes_words import estimate, percent

BEGIN = "<!-- lora_checks: begin; `lora-checks card` rewrites this section -->"
END = "<!-- lora_checks: end -->"
_MARKED = re.compile(r"<!-- lora_checks: begin\b.*?<!-- lora_checks: end -->", re.DOTALL)
_MARK = re.compile(r"<!-- lora_checks: (?:begin\b|end -->)")
_VERDICT = {
    "PASS": "passed every required row of its release policy",
    "FAIL": "did not pass its release policy",
    "INCONCLUSIVE": "did not pass its release policy: too few images to decide",
    "ERROR": "did not pass its release policy: not every row could be measured",
    "INCOMPLETE": "did not pass its release policy: not every required row was run",
}


def put(text: str, ours: str, end: str = "\n") -> str:
    """Return ``text`` with our section replaced by ``ours``, or with ``ours`` appended.

    Args:
        text: The card without its metadata.
        ours: The new section.
        end: The line ending of the card.

    Raises:
        CardError: The marks are not exactly one pair; replacing could lose a person's text.
    """
    ours = ours.replace("\n", end)
    marks = [mark[0].endswith("begin") for mark in _MARK.finditer(text)]
    if marks not in ([], [True, False]):
        raise CardError(
            "the card's lora_checks marks are not exactly one pair of 'begin' and 'end'; "
            "delete all but one pair, or all of them"
        )
    if marks:
        return _MARKED.sub(lambda _: ours, text)
    return f"{text.rstrip()}{end}{end}{ours}{end}" if text.strip() else f"{end}{ours}{end}"


def section(
    document: Document,
    lora: Lora,
    shown: Sequence[Sample],
    *,
    lossless: bool,
    gallery: bool,
    approvals: Sequence[Approval] = (),
    votes: Votes | None = None,
) -> str:
    """Return our section in Markdown: verdict, rows, votes, pictures, facts, and how to reproduce it."""
    run = document["run"]
    parts = [
        BEGIN,
        "## Evaluation",
        f"**{lora['outcome']}**: {escape(title(lora))} {_VERDICT[lora['outcome']]} ({escape(tally(lora))}).",
        *(_approved(approval) for approval in approvals),
        escape(caveat(run)),
        *_rows(lora),
        *(_voted(votes, lora) if votes else []),
        *_shown(shown, lossless, gallery),
        "### How it was evaluated",
        _facts(run, lora),
        "To reproduce it with the policy that has this digest:",
        f"```sh\n{command(run, lora)}\n```",
        END,
    ]
    return "\n\n".join(part for part in parts if part)


def _approved(approval: Approval) -> str:
    words = escape(placeless(approval.words))
    return f"> **{words}.**" if approval.despite else f"{words[:1].upper()}{words[1:]}."


def _rows(lora: Lora) -> list[str]:
    measured = [row for row in lora["rows"] if row["outcome"] != "ERROR"]
    table = [columns(row) for row in measured] + [not_run(check) for check in lora["missing"]]
    lines = [
        f"- **ERROR** {escape(', '.join(checks))}: {escape(placeless(reason))}"
        for reason, checks in errors(lora["rows"])
    ]
    stopped = [row for row in measured if row["outcome"] != "PASS"]
    lines += [f"- **{row['outcome']}** {escape(placeless(words(row)))}" for row in stopped]
    cells = [[escape(placeless(cell)) for cell in line] for line in table]
    return [_table(HEADINGS, cells) if table else "", "\n".join(lines)]


def _voted(votes: Votes, lora: Lora) -> list[str]:
    """Say what people thought of this LoRA; of the others only how many it was compared with."""
    own = [one for one in votes["loras"] if one["here"] and one["name"] == lora["name"]]
    if not own:
        return []
    one, others = own[0], len(votes["loras"]) - 1
    place = votes["loras"].index(one) + 1
    agreement = votes["agreement"]
    agreed = f"; they agree with Krippendorff's alpha {estimate(agreement['alpha'])}" if agreement else ""
    people = "One person" if len(votes["raters"]) == 1 else f"{len(votes['raters'])} people"
    return [
        "### What people preferred",
        escape(
            f"{people} compared its pictures with those of {count(others, 'other LoRA')}, without knowing "
            f"which is which, and answered “{votes['question']}”. It was preferred in "
            f"{percent(one['share'])} of comparisons, which is place {place} of {others + 1}{agreed}."
        ),
    ]


def _shown(shown: Sequence[Sample], lossless: bool, gallery: bool) -> list[str]:
    if not shown:
        return []
    sentence = (
        f"The pictures are the first of {count(len(shown), 'prompt')} in the policy's order; none was chosen "
        "by its values."
    )
    compared = [sample for sample in shown if sample.base is not None]
    rows = [
        [
            escape(sample.picture.text or sample.picture.prompt),
            _image(sample, sample.url(lossless), "with the LoRA"),
            _image(sample, sample.base_url(lossless), "without it"),
            escape(_values(sample)),
        ]
        for sample in compared
    ]
    headings = ("prompt", "with the LoRA", "without it, same noise", "values")
    return [
        "### Pictures",
        "<Gallery />" if gallery else "",
        sentence,
        _table(headings, rows) if rows else "",
    ]


def _image(sample: Sample, url: str, what: str) -> str:
    return f"![{escape(sample.picture.prompt)}, {what}]({url})"


def _values(sample: Sample) -> str:
    return ", ".join(f"{check} {number(value)}" for check, value in sample.picture.values.items())


def _facts(run: Run, lora: Lora) -> str:
    base, policy = run.get("base"), run["policy"]
    without_base = run.copy()
    without_base.pop("base", None)
    facts = {
        "LoRA": f"SHA-256 {lora['sha256']}" if lora["sha256"] else "",
        "strength": f"{lora['scale']:g}" if "scale" in lora else "",
        "training step": "" if lora.get("step") is None else str(lora["step"]),
        "images": setting(without_base),
        "base": _joined([base["label"], base["digest"]]) if base else "",
        "trigger": run["trigger"],
        "sampler": _settings(run.get("sampler", {})),
        "sampler without the LoRA": _settings(run.get("base_sampler", {})),
        "policy": _joined([PurePath(policy["directory"]).name, policy["digest"]]),
        "hardware": _joined([run["hardware"] or run["device"], run.get("dtype")], ", "),
        "versions": _joined(run["versions"], ", "),
        "finished": run.get("finished"),
    }
    rows = [[name, escape(placeless(str(text)))] for name, text in facts.items() if text]
    return _table(("what", "which"), rows)


def _settings(sampler: Any) -> str:
    return _joined([f"{key} {value}" for key, value in sampler.items() if value], ", ")


def _joined(parts: Iterable[Any], between: str = " ") -> str:
    return between.join(str(part) for part in parts if part)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
