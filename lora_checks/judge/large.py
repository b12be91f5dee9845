"""Tell, before an image is made, which rows compare all pairs of a large set and need memory for it.

Frechet distances and kernel distances take a large set part by part. The others hold a number for each pair.
"""

from __future__ import annotations

from collections.abc import Callable

from lora_checks.core import memory
from lora_checks.core.errors import ConfigError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageSet, Metric, Threshold
from lora_checks.images.sets import LARGE

COPIES = 3  # of the numbers, at the most: distances, their parts and their order
NUMBER = 8  # bytes
WORTH_SAYING = 1 << 30  # bytes


def refuse(
    row: Threshold,
    metric: Metric,
    pictures: Callable[[str], ImageSet],
    images: int,
    say: Callable[[str], None],
) -> None:
    """Say how much memory a row will take, if it is much.

    Args:
        row: The row.
        metric: Its metric.
        pictures: Returns a folder of the policy by its name.
        images: How many images the row is about.
        say: Gets the sentence.

    Raises:
        ConfigError: It is more than this machine has left.
    """
    if metric.against != "reference" or row.against == BASELINE or metric.moments or metric.unbiased:
        return
    others = len(pictures(row.against).images)
    if others < LARGE:
        return
    needed = NUMBER * COPIES * others * (max(others, images) if metric.per == "set" else images)
    pairs = f"{row.against} ({others})" + ("" if metric.per == "set" else f" and {images} images")
    sentence = f"{metric.name} compares all pairs of {pairs}: up to {memory.gib(needed)} of memory"
    left = memory.available()
    if left is not None and needed > left:
        raise ConfigError(
            f"{sentence}, and {memory.gib(left)} are left; name fewer pictures in 'against', or measure fid "
            "or kid, which take them part by part"
        )
    if needed >= WORTH_SAYING:
        say(f"{row.name}: {sentence}")
