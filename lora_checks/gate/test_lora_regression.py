"""Test, for each LoRA and entry of ``regression:``, that it is no worse than ``--lora-baseline``.

The comparison is made in a fixture, where trouble is a JUnit error; only a worse value fails in the body.
"""

from collections.abc import Callable

import pytest

from lora_checks.core.records import Allowance, ImageSet, Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.run import GateRun
from lora_checks.gate.session import Session
from lora_checks.images.gallery import shown
from lora_checks.record.regression.against import Against
from lora_checks.record.regression.changes import Change


@pytest.fixture
def against(gate_session: Session) -> Against:
    assert gate_session.against is not None
    return gate_session.against


@pytest.fixture
def limited(allowance: Allowance, gate_session: Session) -> Threshold:
    """The row of thresholds.yaml that the allowance limits."""
    return next(row for row in gate_session.run.policy.thresholds if row.name == allowance.row)


@pytest.fixture
def now(limited: Threshold, lora: Lora, images: ImageSet, gate_run: GateRun) -> Measurement:
    return gate_run.measurement(limited, lora, images)


@pytest.fixture
def change(
    allowance: Allowance,
    limited: Threshold,
    now: Measurement,
    lora: Lora,
    against: Against,
    gate_session: Session,
) -> Change:
    return against.change(allowance, limited, now, lora, gate_session.record.facts.plain)


def test_lora_regression(
    lora: Lora,
    allowance: Allowance,
    limited: Threshold,
    now: Measurement,
    change: Change,
    against: Against,
    gate_run: GateRun,
    record_verdict: Callable[[Verdict], None],
) -> None:
    verdict = against.judge(change, allowance, limited, now, lora, shown(gate_run.source.folder(lora)))
    record_verdict(verdict)
    if verdict.outcome is not Outcome.PASS:
        pytest.fail(verdict.reason, pytrace=False)
