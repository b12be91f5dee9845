"""Arms: prompts that ask what the LoRA does where it should do nothing, marked by a tag of the prompt."""

from __future__ import annotations

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSet, Prompt, PromptSet

NO_TRIGGER = "no-trigger"  # the subject's scenes without the trigger: does the LoRA leak into them?
CLASS_ONLY = "class-only"  # the class words in place of the trigger: has it taken over the class?
UNRELATED = "unrelated"  # something else altogether: what has the base forgotten?
ARMS = (NO_TRIGGER, CLASS_ONLY, UNRELATED)


def arm(prompt: Prompt) -> str:
    """The prompt's arm; "" for what the LoRA was trained for."""
    return next((tag for tag in ARMS if tag in prompt.tags), "")


def chosen(images: ImageSet, on: str) -> ImageSet:
    """The images that a row with this ``tagged:`` is about; without one, those of no arm.

    Raises `ConfigError` where there are none, as nothing is no result.
    """
    if on:
        return with_tag(images, on)
    found = tuple(image for image in images.images if image.prompt is None or not arm(image.prompt))
    if not found:
        raise ConfigError(f"every prompt is in an arm ({', '.join(ARMS)}); say which with `tagged:`")
    return ImageSet(images.name, found)


def number_of(said: PromptSet, on: str) -> int:
    """How many images a row with this ``tagged:`` is about when all are made."""
    prompts = [p for p in said.prompts if (on in p.tags if on else not arm(p))]
    return len(prompts) * len(said.seeds)


def with_tag(images: ImageSet, tag: str) -> ImageSet:
    """The images whose prompt carries ``tag``; `ConfigError` if there is none, as nothing is no result."""
    found = tuple(image for image in images.images if image.prompt and tag in image.prompt.tags)
    if not found:
        raise ConfigError(f"no prompt of these images is tagged '{tag}'")
    return ImageSet(images.name, found)
