"""Hold what is known about how a picture was made, from its metadata, its name or a list."""

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
    """How one picture was made; "" and None mean unknown."""

    prompt: str = ""  # id or text
    place: int | None = None  # position among all pictures of the policy, counted from 0
    seed: int | None = None
    loras: tuple[Use, ...] | None = None  # including those at strength 0; () means made without a LoRA
    unclear: str = ""  # why `loras` may not be all, or not at these strengths
    lora: str = ""  # as a name or a list calls it
    step: str = ""  # of the training
    style: str = ""  # what the program added to the prompt
    source: str = ""  # who says so, for messages
    keys: tuple[tuple[str, str], ...] = ()  # what its LoRA differs in from others, by a name or a list

    @property
    def on(self) -> tuple[Use, ...]:
        return tuple(use for use in self.loras or () if not use.is_off)

    @property
    def is_without(self) -> bool:
        """Tell whether the picture is known to have been made without a LoRA."""
        return self.loras is not None and not self.on and not self.unclear

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted({use.name for use in self.on if use.name}))


def plain(text: str) -> str:
    """Return a prompt for comparison: without LoRA tags and their commas, with single spaces."""
    alone, tags = uses.without_tags(text)
    joined = " ".join(alone.split())
    return re.sub(r",(?: ?,)+", ",", joined).strip(" ,") if tags else joined


def json_object(text: str) -> Mapping[str, Any]:
    """Parse a JSON object; return an empty one if the text is something else."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def whole_number(value: object) -> int | None:
    """Return a seed that is a number or its text; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,20}", value.strip()) else None
