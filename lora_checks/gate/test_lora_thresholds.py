"""Test each LoRA against each row of thresholds.yaml.

Measuring happens in a fixture, where trouble is a JUnit error; only bad quality fails in the body.
"""

from collections.abc import Callable

import pytest

from lora_checks.core.records import Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.gate import rows
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.run import GateRun


def test_lora_threshold(
    lora: Lora,
    threshold: Threshold,
    measurement: Measurement,
    gate_run: GateRun,
    record_verdict: Callable[[Verdict], None],
) -> None:
    verdict = rows.of_threshold(threshold, measurement, lora, gate_run)
    record_verdict(verdict)
    if verdict.outcome is not Outcome.PASS and verdict.required:
        pytest.fail(verdict.reason, pytrace=False)
