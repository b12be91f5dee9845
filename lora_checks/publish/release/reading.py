"""The report of a finished run, read so that nothing half written or made up is taken for a verdict."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lora_checks.core.errors import ReleaseError, ReportError
from lora_checks.publish.release.claim import Claim, claim_of
from lora_checks.record.document import parse

REPORT = "report.json"
JOURNAL = "verdicts.jsonl"  # of a run that may not have finished


def claim_in(directory: Path, lora: str = "", url: str = "") -> Claim:
    """The claim of ``directory``'s report.json. Raises `ReleaseError` where there is none to make."""
    path = directory / REPORT
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        begun = (directory / JOURNAL).exists()
        reason = "the run ended before its verdict" if begun else "no run has written its verdict there"
        raise ReleaseError(f"{directory} has no {REPORT}: {reason}") from None
    except OSError as error:
        raise ReleaseError(f"{path} could not be read ({error.strerror or error})") from error
    try:
        document = parse(content, str(path))
    except ReportError as error:
        raise ReleaseError(str(error)) from error
    return claim_of(document, hashlib.sha256(content).hexdigest(), lora, url)
