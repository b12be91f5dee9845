"""Read the report of a finished run strictly: a partial or invented report is never a verdict."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.publish.release.claim import Claim, claim_of
from lora_checks.record import approval
from lora_checks.record.document import parse
from lora_checks.record.shapes import Document

REPORT = "report.json"
JOURNAL = "verdicts.jsonl"  # written while a run is going on


def claim_in(directory: Path, lora: str = "", url: str = "") -> Claim:
    """Return the claim of the report.json in ``directory``, with its approvals.

    Raises `ReleaseError` if there is none, if its base is on this machine with other bytes, or if an approval
    beside it is not about it.
    """
    path = directory / REPORT
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        started = (directory / JOURNAL).exists()
        reason = "the run ended before its verdict" if started else "no run has written a verdict there"
        raise ReleaseError(f"{directory} has no {REPORT}: {reason}") from None
    except OSError as error:
        raise ReleaseError(f"{path} could not be read ({error.strerror or error})") from error
    try:
        document = parse(content, str(path))
    except ReportError as error:
        raise ReleaseError(str(error)) from error
    _refuse_another_base(document)
    beside = approval.beside(directory)
    if beside.ignored:
        raise ReleaseError(f"{beside.ignored}; approve this report, or move {approval.NAME} away")
    return claim_of(document, hashlib.sha256(content).hexdigest(), lora, url, beside.approvals)


def _refuse_another_base(document: Document) -> None:
    """Hash a base that is on this machine: the run may have taken its digest from the store."""
    base = document["run"].get("base")
    path = Path(base["model"]) if base else Path()
    if not base or not path.is_absolute() or not path.exists():
        return
    contents = Contents(path)
    digest = contents.of(path) if path.is_dir() else contents.sha256(path)
    if digest != base["digest"].partition(" ")[0]:  # behind it: its settings, another VAE
        raise ReleaseError(
            f"{path} is not the base that was judged: its digest is {digest[:12]}, not "
            f"{base['digest'][:12]}; run the gate again, or attest where the base is unchanged"
        )
