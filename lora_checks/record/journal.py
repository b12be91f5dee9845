"""Read ``verdicts.jsonl``, to which a run appends line by line, so that a killed run loses no verdict.

Each line is on disk before the run goes on. A run begins with its facts, ``{"run": ...}``; then comes a
``{"verdict": ...}`` for each verdict, and a ``{"lora": ...}`` with a LoRA's pictures once it is measured.
Later runs are appended, and the last one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.core.records import Verdict
from lora_checks.core.strict_json import strict_json
from lora_checks.record.codec import verdict_from_json
from lora_checks.record.schema import problem

NAME = "verdicts.jsonl"
DERIVED = ("band", "direction", "margin", "power")  # of a row: what the report adds to a verdict
JUDGED = ("images", "missing", "outcome", "power", "rows", "step")  # of a LoRA: what its verdicts add


def read(path: Path) -> tuple[dict[str, Any], list[Verdict]]:
    """Return the file's last run: its facts, as `document.build` takes them, and its verdicts so far.

    A line that a crash cut off is left out, and so are the lines of another run that writes to the same file
    at the same time. The facts are empty if no run has begun.

    Raises:
        ReportError: the file cannot be read, or one of its lines is damaged.
    """
    run: dict[str, Any] = {}
    process: int | None = None
    verdicts: dict[tuple[str, str], Verdict] = {}
    loras: dict[str, Any] = {}
    for line in lines(path):
        if "run" in line:
            run, verdicts, loras, process = line["run"], {}, {}, line.get("process")
        elif line.get("process") != process:
            continue
        elif "verdict" in line:
            verdict = verdict_from_json(line["verdict"])
            verdicts[verdict.lora, verdict.check] = verdict
        elif "lora" in line:
            loras[line["lora"]["name"]] = line["lora"]
    if run:
        run = run | {"loras": [loras.get(lora["name"], lora) for lora in run["loras"]]}
    return run, list(verdicts.values())


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield every complete line, checked. Raises `ReportError` with the number of a damaged line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path}: cannot be read ({error.strerror or error})") from error
    for i, line in enumerate(
        content.split(b"\n")[:-1], start=1
    ):  # the last part was cut off by a crash, or is empty
        try:
            entry = strict_json(line, "it")
        except ReleaseError as error:
            raise _damaged(path, i, str(error)) from error
        if seals.KEY in entry:  # lines of an earlier version have none
            whole = seals.unseal_json(entry)
            if whole is None:
                raise _damaged(path, i, "its digest does not match")
            entry = whole
        if wrong := _problem(entry):
            raise _damaged(path, i, wrong)
        yield entry


def _problem(entry: Mapping[str, Any]) -> str:
    if "run" in entry:
        return problem(entry["run"], "question")
    if "lora" in entry:
        return problem(entry["lora"], "lora", without=JUDGED)
    if not isinstance(entry.get("verdict"), str):
        return "it is neither a run nor a verdict nor a LoRA"
    try:
        return problem(
            strict_json(entry["verdict"].encode("utf-8", "surrogatepass"), "its verdict"), "row", DERIVED
        )
    except ReleaseError as error:
        return str(error)


def _damaged(path: Path, line: int, why: str) -> ReportError:
    return ReportError(
        f"{path}:{line}: is damaged: {why}; run the gate again, or delete this file if the report.json "
        "next to it is from the same run"
    )
