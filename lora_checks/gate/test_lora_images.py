"""Check the pictures of `--lora-images`: one per prompt and seed, each readable, none of another LoRA."""

from collections.abc import Callable

from lora_checks.core.records import ImageSet, Lora, Verdict
from lora_checks.gate import rows
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.ledger import IMAGES_CHECK
from lora_checks.images.source import Evidence


def test_lora_images(
    lora: Lora, images: ImageSet, evidence: Evidence, record_verdict: Callable[[Verdict], None]
) -> None:
    record_verdict(rows.of_images(lora, IMAGES_CHECK, evidence))
    assert images.images
