"""Prove that the LoRA is applied: every tensor in its place, every layer at the file's strength."""

from collections.abc import Callable

from lora_checks.core.records import Lora, Proof, Verdict
from lora_checks.gate import rows
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.ledger import APPLIED_CHECK
from lora_checks.images.source import Evidence


def test_lora_applied(
    lora: Lora, proof: Proof, evidence: Evidence, record_verdict: Callable[[Verdict], None]
) -> None:
    assert any(effect > 0 for effect in proof.effect.values())
    record_verdict(rows.of_images(lora, APPLIED_CHECK, evidence))
