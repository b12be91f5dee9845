"""The pictures of `--lora-images`: one of each prompt and seed, every one a picture, none of another LoRA."""

from collections.abc import Callable

import pytest

from lora_checks.core.records import ImageSet, Lora, Outcome, Verdict
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.ledger import IMAGES_CHECK
from lora_checks.gate.run import GateRun
from lora_checks.images.source import Evidence


@pytest.fixture
def evidence(lora: Lora, gate_run: GateRun) -> Evidence:
    """What shows whose pictures they are; one that cannot be decoded is a JUnit error, and no failure."""
    return gate_run.source.evidence(lora)


def test_lora_images(
    lora: Lora, images: ImageSet, evidence: Evidence, record_verdict: Callable[[Verdict], None]
) -> None:
    record_verdict(
        Verdict(
            lora.name,
            lora.sha256,
            IMAGES_CHECK,
            Outcome.PASS,
            evidence.sentence,
            details=dict(evidence.details),
        )
    )
    assert images.images
