"""Build the document of a run from its verdicts, write it as report.json, and read it back.

Whatever shows a run reads the document and nothing else. ``report/schema.json`` (JSON Schema 2020-12)
describes its version 2; `lora_checks.record.shapes` has the same parts as types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.core.records import Verdict
from lora_checks.core.strict_json import strict_json
from lora_checks.core.words import printable
from lora_checks.judge.verdict import RunOutcome, passed
from lora_checks.lora.steps import step_of
from lora_checks.record import journal
from lora_checks.record.codec import plain, row, verdict_from_json, verdict_to_json
from lora_checks.record.files import write_text
from lora_checks.record.ranking import rank
from lora_checks.record.rows import urgency
from lora_checks.record.schema import problem
from lora_checks.record.shapes import Candidate, Document, Lora, Question
from lora_checks.record.shapes.rows import Passes, Power
from lora_checks.stats import power

__all__ = ["Document", "build", "plain", "read", "row", "verdict_from_json", "verdict_to_json", "write"]

SCHEMA = 2
NAME = "report.json"
Pairs = Sequence[tuple[str, str]]


def build(run: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Document:
    """Return the document of a run.

    Args:
        run: the facts of the run, typed as `shapes.Question`. Its LoRAs are reported in their order, and a
            PASS needs a verdict for each pair in ``required``; ``baseline`` is there if the run is compared
            with an earlier one. All other keys become the document's ``run``.
        verdicts: every verdict of the run.
    """
    question = cast(Question, run)
    facts = {key: value for key, value in run.items() if key not in ("loras", "required", "baseline")}
    required: Pairs = [(lora, check) for lora, check in question["required"]]
    known = {lora["name"]: cast(Candidate, lora) for lora in question["loras"]}
    for name, sha256 in [(v.lora, v.lora_sha256) for v in verdicts] + [(name, "") for name, _ in required]:
        known.setdefault(name, {"name": name, "path": "", "sha256": sha256})
    until_decided = facts.get("until_decided") is not None
    parts = {
        "schema": SCHEMA,
        "outcome": passed(verdicts, required).outcome,
        "run": facts,
        "loras": [_lora(lora, verdicts, required, until_decided) for lora in known.values()],
    }
    compared = {"baseline": run["baseline"]} if "baseline" in run else {}
    document = _demoted(cast(Document, plain(parts | compared)))
    document["ranking"] = rank(document)
    return document


def spoiled(document: Document, reason: str) -> Document:
    """Return the document of a run that went wrong outside its rows, so that nothing in it is a PASS."""
    failures = [*(document["run"].get("other_failures") or ()), reason]
    demoted = _demoted({**document, "run": {**document["run"], "other_failures": failures}})
    return {**demoted, "ranking": rank(demoted)}


def _demoted(document: Document) -> Document:
    """Turn each PASS into an ERROR if something other than a row failed, as the run's exit status says."""
    if not document["run"].get("other_failures"):
        return document
    loras: list[Lora] = [{**lora, "outcome": _no_pass(lora["outcome"])} for lora in document["loras"]]
    return {**document, "outcome": _no_pass(document["outcome"]), "loras": loras}


def _no_pass(outcome: RunOutcome) -> RunOutcome:
    return "ERROR" if outcome == "PASS" else outcome


def _lora(lora: Candidate, verdicts: Sequence[Verdict], required: Pairs, until_decided: bool) -> Lora:
    judged = [v for v in verdicts if v.lora == lora["name"]]
    result = passed(judged, [pair for pair in required if pair[0] == lora["name"]])
    return {
        **lora,
        "step": step_of(Path(lora["path"]), lora.get("facts", {})),
        "outcome": result.outcome,
        "images": list(dict.fromkeys(v.images for v in judged if v.images)),
        "missing": [check for _, check in result.missing],
        "rows": sorted((row(v) for v in judged), key=urgency),
        "power": None if until_decided else _power(judged),
    }


def _power(verdicts: Sequence[Verdict]) -> Power | None:
    """Return the share of runs in which a LoRA passes every required row together.

    ``as_found`` is the share for this LoRA, ``at`` the share for a LoRA that passes each single row in a
    given share of runs. None if some row allows no such statement, or no row is judged by a bound.
    """
    judged = [(v.measurement, v.threshold) for v in verdicts if v.required and v.threshold is not None]
    rows = [(m, t) for m, t in judged if m is not None]
    if len(rows) < len(judged) or not any(t.rule == "bound" for _, t in rows):
        return None
    as_found = power.passes(rows)
    shares = {chance: power.passes(rows, chance) for chance in power.CHANCES}
    at: list[Passes] = [{"chance": c, "passes": share} for c, share in shares.items() if share is not None]
    if as_found is None or len(at) < len(shares):
        return None
    return {"as_found": as_found, "at": at}


def read(directory: Path) -> Document:
    """Return the report in a folder or, until its run has finished, what its journal says so far.

    Raises:
        ReportError: there is no such report, or it cannot be read.
    """
    path, unfinished = directory / NAME, directory / journal.NAME
    if unfinished.is_file() and not (path.is_file() and _is_of_last_run(path, unfinished)):
        run, verdicts = journal.read(unfinished)
        if run:
            document = _checked(build(run, verdicts), f"what {unfinished} tells")
            if document["outcome"] == "PASS":  # a user's own test, or writing the report, can still fail
                document["outcome"] = "INCOMPLETE"
            return document
    return read_file(path)


def _is_of_last_run(path: Path, unfinished: Path) -> bool:
    run, _ = journal.read(unfinished)
    return not run or bool(read_file(path)["run"].get("started") == run["started"])


def read_file(path: Path) -> Document:
    """Return the report in a file.

    Raises:
        ReportError: the file cannot be read, or is not a complete report of this version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(
            f"{path}: cannot be read ({error.strerror}); name the folder of a report"
        ) from error
    return parse(content, str(path))


def parse(content: bytes, where: str) -> Document:
    """Return the report in ``content``.

    Args:
        content: the bytes of a report.json.
        where: the file's name for messages.

    Raises:
        ReportError: with the first part that is wrong.
    """
    try:
        document = strict_json(content, where)
    except ReleaseError as error:
        raise ReportError(f"{error}; name the {NAME} of a run of the gate") from error
    schema = document.get("schema")
    if schema is None:
        raise ReportError(f"{where} is not a report of the gate; name the {NAME} of a run")
    if schema != SCHEMA:
        raise ReportError(
            f"{where} is a report of schema {schema!r}, and this version reads {SCHEMA}; run the gate again"
        )
    _checked(document, where)  # first, because it names the part that is wrong
    return _unsealed(document, where)


def _unsealed(document: dict[str, Any], where: str) -> Document:
    """Return the report without its digest; one without a digest is read as it is."""
    content = seals.unseal_json(document)
    if content is None and seals.KEY in document:
        raise ReportError(
            f"{where}: its digest does not match, so it was damaged or edited since it was written; "
            "take the original, or run the gate again"
        )
    return cast(Document, document if content is None else content)


def _checked(document: Any, where: str) -> Document:
    """Check everything that readers rely on, so that none of them fails halfway."""
    if wrong := problem(document) or _contradiction(document):
        raise ReportError(
            f"{where}: {wrong}; was the file edited, or written by another version of lora_checks?"
        )
    return cast(Document, document)


def _contradiction(document: Document) -> str:
    """Return a fault that a schema cannot express: a name that two LoRAs share, or that no LoRA has."""
    names = [lora["name"] for lora in document["loras"]]
    for i, name in enumerate(names):
        if name in names[:i]:
            return printable(f"/loras/{i}/name {name!r} is the name of two LoRAs")
    ranking = document.get("ranking")
    for i, entry in enumerate(ranking["leaderboard"] if ranking else ()):
        if entry["lora"] not in names:
            return printable(f"/ranking/leaderboard/{i}/lora {entry['lora']!r} is not a LoRA of the report")
    return ""


def write(document: Mapping[str, Any], directory: Path) -> Path:
    """Write report.json with its digest, so that no reader sees half of it, and return its path.

    Raises:
        StoreError: the file cannot be written.
    """
    sealed = seals.seal_json(document)
    text = json.dumps(sealed, indent=1, allow_nan=False)  # ASCII: lone surrogates stay escaped
    return write_text(directory / NAME, text + "\n")
