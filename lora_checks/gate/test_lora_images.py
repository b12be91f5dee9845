"""The pictures of `--lora-images`: one of each prompt and seed, every one a picture, none of another LoRA."""

from collections.abc import Callable

import pytest

from lora_checks.core.records import ImageSet, Lora, Outcome, Verdict
from lora_checks.gate.fixtures import *  # noqa: F403  # a conftest.py cannot replace them here
from lora_checks.gate.provided import GivenBench
from lora_checks.gate.session import IMAGES_CHECK


@pytest.fixture
def description(lora: Lora, workbench: GivenBench) -> str:
    """After each picture was decoded; one that cannot be is an error, and not a failure."""
    return workbench.pictures_of(lora).described(lora)


def test_lora_images(
    lora: Lora,
    images: ImageSet,
    description: str,
    workbench: GivenBench,
    record_verdict: Callable[[Verdict], None],
) -> None:
    words = workbench.pictures_of(lora).words(lora)
    pictures = {
        image.name: {"file": image.path.name, "sha256": image.sha256, **words[image.name]}
        for image in images.images
    }
    record_verdict(
        Verdict(
            lora.name, lora.sha256, IMAGES_CHECK, Outcome.PASS, description, details={"pictures": pictures}
        )
    )
    assert images.images
