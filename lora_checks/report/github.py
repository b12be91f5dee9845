"""Show a report in GitHub Actions: the job summary, and annotations on lines of thresholds.yaml."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lora_checks.core.words import count, printable
from lora_checks.record.rows import errors, headline, reason, tally, title
from lora_checks.record.shapes import Document, Lora, Row
from lora_checks.record.shapes.rows import Threshold
from lora_checks.report import markdown
from lora_checks.report.places import place

MOST = 1024 * 1024  # bytes of a step's summary; GitHub drops a larger summary completely
ROOM = 4096  # bytes left for other tools
AT_ONCE = 10  # annotations of one level that GitHub shows per step


def summary(document: Document, room: int = MOST - ROOM) -> str:
    """Return Markdown of at most ``room`` bytes, the verdict first, without folders of the runner.

    If it is too long, the rows of LoRAs that passed are cut first, then their names, then LoRAs that did
    not pass; a sentence says what was cut.
    """
    stopped = [lora for lora in document["loras"] if lora["outcome"] != "PASS"]
    passed = [lora for lora in document["loras"] if lora["outcome"] == "PASS"]
    head = markdown.head(document)
    refused = [markdown.block(lora, places=False) for lora in stopped]
    names = [f"- {markdown.escape(title(lora))}: PASS, {markdown.escape(tally(lora))}\n" for lora in passed]
    cut = f"\n## {count(len(passed), 'LoRA')} passed; {{}} left out here (1 MiB), see report.json\n\n"
    for ending in (
        "".join(markdown.block(lora, places=False) for lora in passed),
        cut.format("their rows are") + "".join(names),
        cut.format("their names and rows are") if passed else "",
    ):
        if _size(head, *refused, ending) <= room:
            return "".join([head, *refused, ending])
    return _as_many_as_fit(head, refused, ending, room)


def _as_many_as_fit(head: str, refused: Sequence[str], ending: str, room: int) -> str:
    left = "\n## {} more did not pass; left out here (1 MiB), see report.json\n"
    kept: list[str] = []
    for i, told in enumerate(refused):
        if _size(head, *kept, told, left.format(len(refused) - i), ending) > room:
            kept.append(left.format(len(refused) - i))
            break
        kept.append(told)
    if _size(head, *kept, ending) <= room:
        return "".join([head, *kept, ending])
    words = "\n\nThe rest is left out here (1 MiB), see report.json\n"
    whole = "".join([head, *kept, ending]).encode()[: max(0, room - _size(words))]
    return whole.decode(errors="ignore").rpartition("\n")[0] + words if room > _size(words) else ""


def _size(*texts: str) -> int:
    return sum(len(text.encode()) for text in texts)


def annotations(document: Document, root: Path | None = None) -> list[str]:
    """Return workflow commands: errors for what stops the release, then warnings, most urgent first.

    ``root`` is the checkout; lines of files outside it are not annotated, since GitHub cannot show them.
    """
    loras = document["loras"]
    stops = [stop for lora in loras for stop in _stops(lora)]
    optional = [_of_row(lora, row) for lora in loras for row in lora["rows"] if not row["required"]]
    warned = [_command("warning", "", "LoRA gate", text) for text in document["run"].get("warnings") or ()]
    if document["outcome"] != "PASS" and not stops:
        stops = [Finding("", document["outcome"], "the gate", headline(document))]
    return [
        *_at_most("error", _commands("error", stops, root, len(loras) > 1)),
        *_at_most("warning", _commands("warning", optional, root, len(loras) > 1) + warned),
    ]


class Finding(NamedTuple):
    """The contents of an annotation about a row."""

    lora: str
    outcome: str
    check: str
    reason: str
    threshold: Threshold | None = None


def _of_row(lora: Lora, row: Row, rows: str = "") -> Finding:
    return Finding(title(lora), row["outcome"], rows or row["check"], reason(row), row["threshold"])


def _stops(lora: Lora) -> list[Finding]:
    """Return the required rows that did not pass, those that one reason stopped as one finding."""
    required = [row for row in lora["rows"] if row["required"]]
    first = {reason(row): row for row in reversed(required) if row["outcome"] == "ERROR"}
    stops = [_of_row(lora, row) for row in required if row["outcome"] not in ("ERROR", "PASS")]
    for text, checks in errors(required):
        stops.append(_of_row(lora, first[text], f"{len(checks)} rows" if len(checks) > 1 else ""))
    if lora["missing"]:
        names = ", ".join(lora["missing"])
        stops.append(Finding(title(lora), "NOT RUN", names, "a required row has no verdict"))
    return stops


def _commands(level: str, findings: Sequence[Finding], root: Path | None, named: bool) -> list[str]:
    """Return a command for each finding that is not a PASS, the worst first, else in the report's order."""
    stopping = sorted((finding for finding in findings if finding.outcome != "PASS"), key=_order)
    return [_annotation(level, finding, root, named) for finding in stopping]


def _order(finding: Finding) -> int:
    words = ("ERROR", "FAIL", "NOT RUN", "INCONCLUSIVE")
    return words.index(finding.outcome) if finding.outcome in words else len(words)


def _annotation(level: str, finding: Finding, root: Path | None, named: bool) -> str:
    file, line = place(finding.threshold, root)
    where = f"file={_property(printable(file))},line={line}," if file else ""
    name = f"{finding.lora}: " if named and finding.lora else ""
    return _command(level, where, f"{finding.outcome} {finding.check}", f"{name}{finding.reason}")


def _at_most(level: str, commands: Sequence[str]) -> list[str]:
    if len(commands) <= AT_ONCE:
        return list(commands)
    more = len(commands) - (AT_ONCE - 1)
    text = f"{more} more of this kind are in the job's summary and in report.json"
    return [*commands[: AT_ONCE - 1], _command(level, "", "LoRA gate", text)]


def _command(level: str, where: str, heading: str, text: str) -> str:
    return f"::{level} {where}title={_property(printable(heading))}::{_data(printable(text))}"


def _data(text: str) -> str:
    """Escape text for the runner; line breaks are already gone, but a name may contain "%0A" itself."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def guarded(lines: Sequence[str]) -> list[str]:
    """Protect lines from being read as commands: a LoRA may be named "::add-mask::a"."""
    token = secrets.token_hex(16)
    return [f"::stop-commands::{token}", *lines, f"::{token}::"]


def append_summary(document: Document, path: Path) -> None:
    """Append the summary to the step's file, within what is left of its 1 MiB. Raises `OSError`."""
    taken = path.stat().st_size if path.exists() else 0
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(summary(document, max(0, MOST - ROOM - taken)))
