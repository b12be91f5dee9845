"""What a picture's program was told of LoRAs: a name and a strength each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TAG = re.compile(r"<(?:lora|lyco):([^:>]*)(?::([^>]*))?>")


@dataclass(frozen=True, slots=True)
class Use:
    name: str  # as a file is called, without folder and ending
    strength: float | None = None  # None is unknown; 0 is no use


def called(path: str) -> str:
    """``style\\person.safetensors`` -> ``person``."""
    return re.split(r"[\\/]", path)[-1].removesuffix(".safetensors")


def tagged(prompt: str) -> list[Use]:
    """``<lora:person:0.8>``, as stable-diffusion-webui has them; other forms of the strength are unknown."""
    return [Use(called(name), _number(said)) for name, said in _TAG.findall(prompt)]


def without_tags(prompt: str) -> tuple[str, int]:
    """The prompt with a space for each tag, and how many there were."""
    return _TAG.subn(" ", prompt)


def names(uses: Iterable[Use]) -> tuple[str, ...]:
    return tuple(sorted({use.name for use in uses}))


def strength(uses: Iterable[Use]) -> float | None:
    """Of the only one."""
    found = [use.strength for use in uses]
    return found[0] if len(found) == 1 else None


def _number(said: str) -> float | None:
    """Of "0.8", or of "0:1" for text encoder and network, where one that is not 0 counts."""
    try:
        values = [float(value) for value in (said or "1").split(":")]
    except ValueError:
        return None
    return next((value for value in values if value), 0.0)
