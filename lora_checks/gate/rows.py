"""Make the verdict of each row: the gate's own rows, the policy's rows, and rows that ended in an error."""

from __future__ import annotations

from dataclasses import replace

from lora_checks.core.errors import LoraChecksError, MeasureError
from lora_checks.core.records import Allowance, Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.gate import code
from lora_checks.gate.ledger import FILE_CHECK
from lora_checks.gate.run import GateRun
from lora_checks.images.gallery import shown
from lora_checks.images.source import Evidence
from lora_checks.judge import verdict
from lora_checks.lora.candidates import Candidate
from lora_checks.lora.opening import refused_sha256
from lora_checks.lora.words import described
from lora_checks.record.regression.against import Against


def of_file(lora: Lora) -> Verdict:
    """Pass the file: it was read and checked."""
    return Verdict(lora.name, lora.sha256, FILE_CHECK, Outcome.PASS, described(lora))


def of_images(lora: Lora, check: str, evidence: Evidence) -> Verdict:
    """Pass the images as the LoRA's: their source has shown it."""
    details = dict(evidence.details)
    return Verdict(lora.name, lora.sha256, check, Outcome.PASS, evidence.sentence, details=details)


def of_threshold(row: Threshold, measurement: Measurement, lora: Lora, run: GateRun) -> Verdict:
    return verdict.judge(measurement, row, lora, images=shown(run.source.folder(lora)))


def of_change(
    allowance: Allowance,
    row: Threshold,
    measurement: Measurement,
    lora: Lora,
    run: GateRun,
    against: Against,
    facts: dict[str, object],
) -> Verdict:
    """Judge how much worse the row is than in the last approved release."""
    change = against.change(allowance, row, measurement, lora, facts)
    images = shown(run.source.folder(lora))
    return against.judge(change, allowance, row, measurement, lora, images)


def broken(
    candidate: Candidate,
    lora: Lora | None,
    check: str,
    row: Threshold | None,
    allowance: Allowance | None,
    error: BaseException,
) -> Verdict:
    """Return the verdict of a row that ended in an error, before or after its LoRA was read."""
    sha256 = lora.sha256 if lora is not None else refused_sha256(candidate.path)
    reason = str(error) if isinstance(error, LoraChecksError) else f"{type(error).__name__}: {error}"
    errored = verdict.error(candidate.name, sha256, check, row, reason)
    return errored if allowance is None else replace(errored, change_of=allowance.row)


def other_code() -> MeasureError | None:
    """Return an error if any of the gate's own functions was replaced; what such code says is unknown."""
    names = code.replaced()
    if not names:
        return None
    return MeasureError(
        f"not judged by the gate's own code: {', '.join(names)} was replaced while the run went on, "
        "such as by a conftest.py; declare a metric of your own under a name of its own"
    )
