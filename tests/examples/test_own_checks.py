"""Checks of your own, beside those of the policy: ordinary tests with the gate's fixtures.

Run them with the gate::

    pytest --lora person.safetensors my_checks/

Each test that uses `lora` or `images` runs once for every ``--lora``. A test that fails stops the release
as a required row of thresholds.yaml does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lora_checks import ImageSet, Lora, Measurement, metric, with_tag
from lora_checks.images.decoding import decode


@metric(extractor="", against="baseline", per="image", better="higher", range=(0, 255))
def changed_pixels(x, y):  # type: ignore[no-untyped-def]
    """Mean difference to the same prompt and noise without the LoRA, in grey levels."""
    return np.array([np.abs(a.astype(float) - b.astype(float)).mean() for a, b in zip(x, y, strict=True)])


def test_the_rank_is_what_we_ship(lora: Lora) -> None:
    assert max(lora.ranks) <= 64
    assert lora.components.get("unet", 0) > 0


def test_a_red_shirt_keeps_the_likeness(images: ImageSet, measure: Callable[..., Measurement]) -> None:
    red = with_tag(images, "red")  # a tag in prompts.yaml
    assert measure("arcface", red).value > 0.3


def test_the_lora_changes_every_image(images: ImageSet, measure: Callable[..., Measurement]) -> None:
    change = measure("changed_pixels", images, stat="min")
    assert change.value > 0.5
    assert change.n == len(images.images)


def test_the_base_is_paired_row_by_row(images: ImageSet, baseline_images: ImageSet) -> None:
    assert [image.name for image in images.images] == [image.name for image in baseline_images.images]
    assert [image.seed for image in images.images] == [image.seed for image in baseline_images.images]


def test_references_are_as_large_as_the_images(images: ImageSet, references: ImageSet) -> None:
    size = decode(images.images[0].path).shape
    assert {decode(picture.path).shape for picture in references.images} == {size}
