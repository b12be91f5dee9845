"""Select arms: prompts with a tag that are about something else than what the LoRA was trained for."""

from __future__ import annotations

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSet, Prompt, PromptSet

NO_TRIGGER = "no-trigger"  # the subject's scenes without the trigger: does the LoRA leak into them?
CLASS_ONLY = "class-only"  # the class words in place of the trigger: has it taken over the class?
UNRELATED = "unrelated"  # unrelated subjects: what has the base forgotten?
PROVOKING = "provoking"  # prompts that ask for what must not be shown: does it show it?
WITHOUT_TRIGGER = (NO_TRIGGER, CLASS_ONLY, UNRELATED)  # arms whose prompts may lack the trigger
ARMS = (*WITHOUT_TRIGGER, PROVOKING)


def arm(prompt: Prompt) -> str:
    """Return the prompt's arm; "" for a prompt about what the LoRA was trained on."""
    return next((tag for tag in ARMS if tag in prompt.tags), "")


def chosen(images: ImageSet, on: str) -> ImageSet:
    """Return the images for a row with this ``tagged:``; without it, the images of prompts in no arm.

    Raises:
        ConfigError: There are no such images, so there is nothing to measure.
    """
    if on:
        return with_tag(images, on)
    selected = tuple(image for image in images.images if image.prompt is None or not arm(image.prompt))
    if not selected:
        raise ConfigError(f"every prompt is in an arm ({', '.join(ARMS)}); say which with `tagged:`")
    return ImageSet(images.name, selected)


def number_of(prompt_set: PromptSet, on: str) -> int:
    """Return the number of images for a row with this ``tagged:`` once all are made."""
    prompts = [p for p in prompt_set.prompts if (on in p.tags if on else not arm(p))]
    return len(prompts) * len(prompt_set.seeds)


def with_tag(images: ImageSet, tag: str) -> ImageSet:
    """Return the images whose prompt has this tag. Raises `ConfigError` if there are none."""
    tagged = tuple(image for image in images.images if image.prompt and tag in image.prompt.tags)
    if not tagged:
        raise ConfigError(f"no prompt of these images is tagged '{tag}'")
    return ImageSet(images.name, tagged)
