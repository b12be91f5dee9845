"""Read and write ``approval.json``: who approved which verdict of the report.json next to it.

An approval is a record, not a signature: whoever can write the folder can write one. It names the SHA-256
of the report, so it says nothing about any other report (decision 49).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from lora_checks.core import seals
from lora_checks.core.errors import ConfigError, ReleaseError, ReportError
from lora_checks.core.files import write_atomically
from lora_checks.core.strict_json import strict_json
from lora_checks.core.words import printable
from lora_checks.record import document as documents
from lora_checks.record.regression.approved import Judged
from lora_checks.record.shapes import Lora, Run

NAME = "approval.json"
SCHEMA = 1
MOST = 2000  # characters of a text


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval of one LoRA's verdict."""

    lora: str
    lora_sha256: str
    outcome: str  # the verdict that was approved
    policy: str  # digest of the policy that it was judged under
    by: str
    note: str
    despite: str  # why it is approved although it did not pass; "" for a PASS
    at: str  # ISO 8601, UTC

    @property
    def words(self) -> str:
        """Return the approval in one sentence, the loud part first."""
        when, note = self.at[:10], f": {self.note}" if self.note else ""
        under = f"under policy {self.policy[:12]}"
        if self.despite:
            return (
                f"APPROVED DESPITE {self.outcome} by {self.by} on {when} {under}, because: {self.despite}"
                f"{f' (note{note})' if note else ''}; this releases nothing"
            )
        return f"approved by {self.by} on {when} {under}{note}"


@dataclass(frozen=True, slots=True)
class Beside:
    """The approvals next to a report, and why some are ignored ("" if none is)."""

    approvals: tuple[Approval, ...] = ()
    ignored: str = ""

    def of(self, sha256: str) -> tuple[Approval, ...]:
        """Return the approvals of the LoRA with this digest."""
        return tuple(approval for approval in self.approvals if approval.lora_sha256 == sha256)


def approve(judged: Judged, by: str, note: str = "", despite: str = "") -> Approval:
    """Return the approval of a judged LoRA, dated now.

    Raises:
        ConfigError: a text is empty or too long, the report is a copy, the run did not finish, or the verdict
            needs ``despite``.
    """
    lora, where = judged.lora, f"{judged.path}: {printable(judged.name)}"
    for option, text in (("--by", by), ("--note", note), ("--despite", despite)):
        if len(text) > MOST:
            raise ConfigError(f"{option} is longer than {MOST} characters; shorten it")
    if judged.path.name != documents.NAME:
        raise ConfigError(f"{judged.path} is a copy; approve the {documents.NAME} in the folder of its run")
    if not by.strip():
        raise ConfigError("--by is empty (an unset variable?); name who approves")
    if not judged.run.get("finished"):
        raise ConfigError(f"{where} has no verdict: its run did not finish; gate it again")
    if not lora["sha256"]:
        raise ConfigError(f"{where} was refused as a file, so there is nothing to approve")
    passed = has_passed(judged.run, lora)
    if not passed and not despite.strip():
        raise ConfigError(
            f"{where} ended in {lora['outcome']}; only --despite 'the reason' approves what did not pass, "
            "and it never releases"
        )
    if passed and despite:
        raise ConfigError(f"{where} passed: --despite is for a LoRA that did not; leave it out")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    policy = judged.run["policy"].get("digest", "")
    by, note, despite = (printable(text.strip()) for text in (by, note, despite))
    return Approval(judged.name, lora["sha256"], lora["outcome"], policy, by, note, despite, at)


def has_passed(run: Run, lora: Lora) -> bool:
    """Return whether the run finished with a PASS of this LoRA."""
    return lora["outcome"] == "PASS" and bool(run.get("finished")) and not run.get("other_failures")


def add(directory: Path, sha256: str, approval: Approval) -> Path | None:
    """Add an approval of the report with this digest to ``approval.json``.

    Approvals of an earlier report in the same folder are moved aside, not lost.

    Returns:
        Where they were moved, or None.

    Raises:
        ReleaseError: the file holds something else, or is damaged.
        ConfigError: the folder cannot be written.
    """
    path, moved = directory / NAME, None
    earlier: Sequence[Approval] = ()
    try:
        if path.exists():
            about, earlier = _read(path)
            if about != sha256:
                moved = path.rename(directory / f"approval-of-{about[:12]}.json")
                earlier = ()
        content = {
            "schema": SCHEMA,
            "report": sha256,
            "approvals": [asdict(one) for one in (*earlier, approval)],
        }
        write_atomically(path, (json.dumps(seals.seal_json(content), indent=1) + "\n").encode())
    except OSError as error:
        raise ConfigError(f"{path} could not be written ({error.strerror or error})") from error
    return moved


def beside(directory: Path) -> Beside:
    """Return the approvals of the report.json in a folder; what is about another report is only named.

    Never raises: a page or card is shown without an approval that cannot be trusted, and says so.
    """
    path = directory / NAME
    try:
        if not path.exists():
            return Beside()
        about, approvals = _read(path)
        here = directory / documents.NAME
        report = here.read_bytes() if here.exists() else b""
    except (ReleaseError, OSError) as error:
        return Beside(ignored=f"an approval is ignored: {printable(str(error))}")
    if about != hashlib.sha256(report).hexdigest():
        return Beside(
            ignored=f"an approval is ignored: {path} approves another report ({about[:12]}), not this one"
        )
    return Beside(*_believed(approvals, report, path))


def _believed(approvals: Sequence[Approval], report: bytes, path: Path) -> tuple[tuple[Approval, ...], str]:
    """Return the approvals that say of the report what it says itself."""
    try:
        document = documents.parse(report, str(path.with_name(documents.NAME)))
    except ReportError as error:
        return (), f"an approval is ignored: {error}"
    run = document["run"]
    verdicts: dict[tuple[str, ...], bool] = {}
    for lora in document["loras"]:
        key = (lora["name"], lora["sha256"], lora["outcome"], run["policy"].get("digest", ""))
        verdicts[key] = has_passed(run, lora)
    for one in approvals:
        passed = verdicts.get((one.lora, one.lora_sha256, one.outcome, one.policy))
        if passed is None or passed == bool(one.despite):
            return (), f"an approval is ignored: {path} contradicts its report about {one.lora}"
    return tuple(approvals), ""


def _read(path: Path) -> tuple[str, tuple[Approval, ...]]:
    """Return the digest of the approved report, and the approvals. Raises `ReleaseError`, `OSError`."""
    content = seals.unseal_json(strict_json(path.read_bytes(), str(path)))
    damaged = ReleaseError(f"{path} was damaged or edited since it was written; approve the report again")
    if content is None or content.get("schema") != SCHEMA or not isinstance(content.get("report"), str):
        raise damaged
    names = {field.name for field in fields(Approval)}
    entries = content.get("approvals")
    if not isinstance(entries, list) or not entries:
        raise damaged
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != names:
            raise damaged
        if not all(isinstance(text, str) for text in entry.values()) or not entry["by"]:
            raise damaged
    return content["report"], tuple(
        Approval(**{key: printable(text) for key, text in entry.items()}) for entry in entries
    )
