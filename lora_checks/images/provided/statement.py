"""What is known of how a picture came about, whoever says so: its metadata, its name, a list."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lora_checks.images.provided import uses
from lora_checks.images.provided.uses import Use


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of one picture; "" and None are unknown."""

    prompt: str = ""  # id or text
    place: int | None = None  # among all that the policy asks for, counted from 0
    seed: int | None = None
    loras: tuple[Use, ...] | None = None  # those at strength 0 too; () is made without a LoRA
    unclear: str = ""  # why `loras` may not be all, or not at these strengths
    step: str = ""  # of the training
    style: str = ""  # what the program added to the prompt
    source: str = ""  # who says so, for messages

    @property
    def on(self) -> tuple[Use, ...]:
        return tuple(use for use in self.loras or () if not use.is_off)

    @property
    def is_without(self) -> bool:
        """Whether it is known to have been made without a LoRA."""
        return self.loras is not None and not self.on and not self.unclear

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({use.name for use in self.on if use.name}))


def plain(text: str) -> str:
    """A prompt as it is compared: no LoRA tags nor their commas, single spaces."""
    alone, tags = uses.without_tags(text)
    joined = " ".join(alone.split())
    return re.sub(r",(?: ?,)+", ",", joined).strip(" ,") if tags else joined


def json_object(text: str) -> Mapping[str, Any]:
    """An object; empty where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def whole_number(value: object) -> int | None:
    """A seed, given as a number or as its text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,20}", value.strip()) else None
