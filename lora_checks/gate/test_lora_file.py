"""Check the LoRA file itself, before any model is loaded: readable, whole, trained."""

from collections.abc import Callable

from lora_checks.core.records import Lora, Verdict
from lora_checks.gate import rows
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here


def test_lora_file(lora: Lora, record_verdict: Callable[[Verdict], None]) -> None:
    assert lora.tensors > 0
    record_verdict(rows.of_file(lora))
