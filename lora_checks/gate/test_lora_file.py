"""The LoRA file itself, before any model is loaded: readable, whole, trained."""

from collections.abc import Callable

from lora_checks.core.records import Lora, Outcome, Verdict
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.ledger import FILE_CHECK
from lora_checks.lora.words import described


def test_lora_file(lora: Lora, record_verdict: Callable[[Verdict], None]) -> None:
    assert lora.tensors > 0
    record_verdict(Verdict(lora.name, lora.sha256, FILE_CHECK, Outcome.PASS, described(lora)))
