"""Verdicts -> one JSON document -> everything else. Each renderer reads the document and nothing more.

The document is described by ``report/schema.json`` (JSON Schema 2020-12), version 2, and read through it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.core.records import Verdict
from lora_checks.core.strict_json import strict_json
from lora_checks.core.words import printable
from lora_checks.judge.verdict import passed
from lora_checks.lora.steps import step_of
from lora_checks.record import journal
from lora_checks.record.codec import Row, plain, row, verdict_from_json, verdict_to_json
from lora_checks.record.files import write_text
from lora_checks.record.ranking import rank
from lora_checks.record.rows import urgency
from lora_checks.record.schema import problem
from lora_checks.stats import power

__all__ = ["build", "plain", "read", "row", "verdict_from_json", "verdict_to_json", "write"]

SCHEMA = 2
NAME = "report.json"
Document = dict[str, Any]
Pairs = Sequence[tuple[str, str]]


def build(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Document:
    """The document of a run.

    ``run`` is recorded as it is, but for three keys: ``loras``, a list of {"name", "path", "sha256"} in
    the order to report them; ``required``, the (LoRA name, check) pairs without which nothing passes; and
    ``baseline``, of a run with that option.
    """
    facts = dict(run)
    compared = {"baseline": facts.pop("baseline")} if "baseline" in facts else {}
    required: Pairs = [(lora, check) for lora, check in facts.pop("required")]
    known = {lora["name"]: dict(lora) for lora in facts.pop("loras")}
    for name, sha256 in [(v.lora, v.lora_sha256) for v in verdicts] + [(name, "") for name, _ in required]:
        known.setdefault(name, {"name": name, "path": "", "sha256": sha256})
    document: Document = plain(
        {
            "schema": SCHEMA,
            "outcome": passed(verdicts, required).outcome,
            "run": facts,
            "loras": [_lora(lora, verdicts, required, facts) for lora in known.values()],
            **compared,
        }
    )
    document = _agreeing(document)
    document["ranking"] = rank(document)
    return document


def spoiled(document: Mapping[str, Any], reason: str) -> Document:
    """The document of a run that went wrong outside its rows: whatever those say, nothing of it is a PASS."""
    run = dict(document["run"])
    run["other_failures"] = [*(run.get("other_failures") or ()), reason]
    made = _agreeing({**document, "run": run})
    return {**made, "ranking": rank(made)}


def _agreeing(document: Document) -> Document:
    """A run in which something else failed ends in a status other than 0, and its report agrees."""
    if not document["run"].get("other_failures"):
        return document
    loras = [{**lora, "outcome": _no_pass(lora["outcome"])} for lora in document["loras"]]
    return {**document, "outcome": _no_pass(document["outcome"]), "loras": loras}


def _no_pass(outcome: str) -> str:
    return "ERROR" if outcome == "PASS" else outcome


def _lora(
    lora: Mapping[str, Any], verdicts: Sequence[Verdict], required: Pairs, run: Mapping[str, Any]
) -> Document:
    own = [v for v in verdicts if v.lora == lora["name"]]
    result = passed(own, [pair for pair in required if pair[0] == lora["name"]])
    rows: list[Row] = sorted((row(v) for v in own), key=urgency)
    return {
        **lora,
        "step": step_of(Path(lora["path"]), lora.get("facts", {})),
        "outcome": result.outcome,
        "images": list(dict.fromkeys(v.images for v in own if v.images)),
        "missing": [check for _, check in result.missing],
        "rows": rows,
        "power": None if run.get("until_decided") is not None else _power(own),
    }


def _power(verdicts: Sequence[Verdict]) -> Document | None:
    """In which share of runs of a fixed number of images a LoRA passes every required row; see `power`.

    ``as_found`` is of this LoRA, ``at`` of those that just pass each row in a share of runs. None where a row
    cannot be told of, or none is judged by a bound.
    """
    judged = [(v.measurement, v.threshold) for v in verdicts if v.required and v.threshold is not None]
    rows = [(m, t) for m, t in judged if m is not None]
    if len(rows) < len(judged) or not any(t.rule == "bound" for _, t in rows):
        return None
    as_found = power.passes(rows)
    at = [{"chance": chance, "passes": power.passes(rows, chance)} for chance in power.CHANCES]
    return None if as_found is None else {"as_found": as_found, "at": at}


def read(directory: Path) -> Document:
    """The report of a folder, or, while its run has not finished, what the journal tells of it.

    Raises `ReportError`.
    """
    path, unfinished = directory / NAME, directory / journal.NAME
    if unfinished.is_file() and not (path.is_file() and _is_of_last_run(path, unfinished)):
        run, found = journal.read(unfinished)
        if run:
            document = _checked(build(run, found), f"what {unfinished} tells")
            # What comes after the last verdict can fail yet: a check of one's own, or writing the report.
            return document | ({"outcome": "INCOMPLETE"} if document["outcome"] == "PASS" else {})
    return read_file(path)


def _is_of_last_run(path: Path, unfinished: Path) -> bool:
    run, _ = journal.read(unfinished)
    return not run or bool(read_file(path)["run"].get("started") == run["started"])


def read_file(path: Path) -> Document:
    """Raises `ReportError` unless it is a whole report of this version."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a report"
        ) from error
    return parse(content, str(path))


def parse(content: bytes, where: str) -> Document:
    """The report that ``content`` is. Raises `ReportError`: ``where`` it is, and which part is wrong."""
    try:
        document = strict_json(content, where)
    except ReleaseError as error:
        raise ReportError(f"{error}; name the {NAME} of a run of the gate") from error
    schema = document.get("schema")
    if schema is None:
        raise ReportError(f"{where} is no report of the gate; name the {NAME} of a run")
    if schema != SCHEMA:
        raise ReportError(
            f"{where} is a report of schema {schema!r}, and this version reads {SCHEMA}; run the gate again"
        )
    return _unsealed(document, where)


def _unsealed(document: Document, where: str) -> Document:
    """Return the report without its digest; one without a digest claims nothing and is read as it is."""
    _checked(document, where)  # first, since it names the part that is wrong
    content = seals.unseal_json(document)
    if content is None and seals.KEY in document:
        raise ReportError(
            f"{where}: its digest does not match, so it was damaged or edited since it was written; "
            "take the original, or run the gate again"
        )
    return document if content is None else content


def _checked(document: Document, where: str) -> Document:
    """What every reader relies on, asked once, so that none of them ends in the middle of an output."""
    if wrong := problem(document) or _contradiction(document):
        raise ReportError(
            f"{where}: {wrong}; was the file edited, or written by another version of lora_checks?"
        )
    return document


def _contradiction(document: Document) -> str:
    """What no schema can say: a name that belongs to nothing, or to two."""
    names = [lora["name"] for lora in document["loras"]]
    for i, name in enumerate(names):
        if name in names[:i]:
            return printable(f"/loras/{i}/name {name!r} is the name of two LoRAs")
    for i, entry in enumerate((document.get("ranking") or {}).get("leaderboard", ())):
        if entry["lora"] not in names:
            return printable(f"/ranking/leaderboard/{i}/lora {entry['lora']!r} is no LoRA of the report")
    return ""


def write(document: Mapping[str, Any], directory: Path) -> Path:
    """Write report.json with its digest; a reader never sees half a file."""
    sealed = seals.seal_json(document)
    text = json.dumps(sealed, indent=1, allow_nan=False)  # ASCII: lone surrogates stay escaped
    return write_text(directory / NAME, text + "\n")
