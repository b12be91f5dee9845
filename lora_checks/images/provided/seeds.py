"""Find the seeds of pictures whose prompts come without seeds, from the pictures of all LoRAs together.

If names or metadata tell the same seeds for every prompt of every LoRA, these are the seeds. Seeds that a
pattern or a list tells are taken even if some are missing, so that the missing pictures are an error.
Otherwise the pictures of a prompt count as its seeds in the order of their names: 0, 1, ...; every prompt of
every LoRA needs as many pictures as the one with most of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import PromptSet
from lora_checks.images import decoding
from lora_checks.images.provided.groups import Group, chosen
from lora_checks.images.provided.picture import Picture, read_pictures
from lora_checks.images.provided.picture_names import Names
from lora_checks.lora.find import natural

Part = tuple[Path, Group | None]  # a folder, and the group of its pictures that is one LoRA's
Of = tuple[int, str]  # a part and a prompt


def seeded(prompts: PromptSet, parts: Iterable[Part], names: Names | None) -> PromptSet:
    """Return the prompts with the seeds of the pictures; unchanged if they have seeds."""
    if prompts.seeds:
        return prompts
    probe = replace(prompts, seeds=(0,))
    pictures: dict[Of, list[Picture]] = defaultdict(list)
    for i, (folder, group) in enumerate(parts):
        for picture in _pictures(folder, group, probe, names):
            if picture.prompt is not None:
                pictures[i, picture.prompt.id].append(picture)
    seeds = _told(pictures, names)
    if seeds:
        return replace(prompts, seeds=seeds)
    most = max(map(len, pictures.values()), default=1)
    return replace(prompts, seeds=tuple(range(most)), counted=True)


def _pictures(folder: Path, group: Group | None, probe: PromptSet, names: Names | None) -> list[Picture]:
    try:
        paths = sorted(decoding.list_images(folder), key=natural)
        return read_pictures(chosen(paths, names, group), probe, names)
    except (ConfigError, MeasureError):  # the verdict on the LoRA says so
        return []


def _told(pictures: dict[Of, list[Picture]], names: Names | None) -> tuple[int, ...]:
    """Return the seeds in ascending order; none if the pictures of a prompt can only be counted."""
    all_pictures = [picture for of_prompt in pictures.values() for picture in of_prompt]
    if not all_pictures or not all(picture.seed_told for picture in all_pictures):
        return ()
    of_prompts = [sorted(picture.seed or 0 for picture in of_prompt) for of_prompt in pictures.values()]
    union = tuple(sorted({seed for seeds in of_prompts for seed in seeds}))
    alike = all(tuple(seeds) == union for seeds in of_prompts)
    return union if alike or (names is not None and names.tells_seeds) else ()
