"""Represent a LoRA as a picture's metadata names it: a name, strengths, the beginning of a digest."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from lora_checks.core.words import printable

_TAG = re.compile(r"<(?:lora|lyco|lycoris|locon|dora):([^<>]*)>", re.IGNORECASE)
_ENDINGS = (".safetensors", ".ckpt", ".pt", ".bin")
_OF_NOTHING = (  # digests of an empty file, which programs write if they could not read the LoRA
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",  # SHA-256
    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",  # BLAKE3
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",  # SHA-1
    "d41d8cd98f00b204e9800998ecf8427e",  # MD5
)
_SHOWN = 60  # characters of a name
_SHORTEST = 8  # hexadecimal digits of a digest


@dataclass(frozen=True, slots=True)
class Use:
    """A LoRA at a strength: ``model`` for the network, ``clip`` for the text encoders; None means unknown."""

    name: str  # the file's name without folder and suffix; "" means unknown
    model: float | None = None
    clip: float | None = None
    digests: tuple[str, ...] = ()  # the first digits of digests; any of them may be the file's

    @property
    def is_off(self) -> bool:
        return self.model == 0 and self.clip == 0

    @property
    def is_known(self) -> bool:
        return bool(self.name or self.digests) and self.model is not None and self.clip is not None

    @property
    def strength(self) -> str:
        """Return "strength 0.8", "strength 0.8 (text encoder 0.5)" or "an unknown strength"."""
        if self.model is None or self.clip is None:
            return "an unknown strength"
        text = f"strength {self.model:g}"
        return text if self.model == self.clip else f"{text} (text encoder {self.clip:g})"

    def __str__(self) -> str:
        return f"{quoted(self.name) if self.name else 'a LoRA'} at {self.strength}"


def quoted(name: str) -> str:
    """Quote a name for people; names come from outside and may contain anything."""
    line = printable(name)
    return f"'{line}'" if len(line) <= _SHOWN else f"'{line[: _SHOWN - 3]}...'"


def called(path: str) -> str:
    """``style\\person.safetensors`` -> ``person``."""
    name = re.split(r"[\\/]", path.strip())[-1]
    ending = next((ending for ending in _ENDINGS if name.lower().endswith(ending)), "")
    return name[: len(name) - len(ending)]


def digest(text: object) -> tuple[str, ...]:
    """Return the digest in "0x12ab..." or "sha256:12ab..."; empty if it cannot be a file's SHA-256."""
    kind, _, tail = str(text).strip().lower().rpartition(":")
    tail = tail.removeprefix("0x")
    if kind not in ("", "sha256") or not re.fullmatch(rf"[0-9a-f]{{{_SHORTEST},64}}", tail):
        return ()
    return () if is_of_nothing(tail) else (tail,)


def is_of_nothing(text: str) -> bool:
    """Tell whether a digest, or its beginning, is that of an empty file or all zeros."""
    return text[:_SHORTEST] in {known[:_SHORTEST] for known in _OF_NOTHING} or not text.strip("0")


def number(value: object) -> float | None:
    """Return a finite number that is given as a number or as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        converted = float(value)
    except (ValueError, OverflowError):
        return None
    return converted if math.isfinite(converted) else None


def tagged(prompt: str, *, model_first: bool = False, default: float = 1.0) -> list[Use]:
    """Read tags such as ``<lora:person:0.8>`` (stable-diffusion-webui, extra_networks_lora.py).

    The first number is for the text encoder, the second for the network; ComfyUI's text loaders have the
    opposite order (``model_first``).
    """
    return [_use(body, model_first, default) for body in _TAG.findall(prompt)]


def without_tags(prompt: str) -> tuple[str, int]:
    """Return the prompt with each tag replaced by a space, and the number of tags."""
    return _TAG.subn(" ", prompt)


def _use(body: str, model_first: bool, default: float) -> Use:
    """Parse ``name:te:unet``, ``te=`` and ``unet=``; with block weights or steps the strength is unknown."""
    name, *arguments = body.split(":")
    named = dict(each.strip().lower().split("=", 1) for each in arguments if "=" in each)
    places = [each.strip() for each in arguments if "=" not in each]
    first = number(places[0]) if places and places[0] else default
    second = number(places[1]) if len(places) > 1 else None
    last = first if second is None else second
    te, unet = (last, first) if model_first else (first, last)
    te = number(named.pop("te")) if "te" in named else te
    unet = number(named.pop("unet")) if "unet" in named else unet
    blocks = [each for each in places[1:2] if second is None] + places[2:] + _blocks(named)
    if te == unet == 0 or any(map(_is_zero, blocks)):
        return Use(called(name), 0.0, 0.0)
    return Use(called(name), None, None) if any(map(_weighs, blocks)) else Use(called(name), unet, te)


def _blocks(named: dict[str, str]) -> list[str]:
    """Return named block weights; any other argument (a rank, a first step) counts as unknown weights."""
    return [value if name == "lbw" else f"{name}={value}" for name, value in named.items()]


def _is_zero(blocks: str) -> bool:
    """Tell whether these block weights switch the LoRA off: the preset NONE, or all zeros."""
    return blocks.upper() == "NONE" or (
        "," in blocks and all(number(weight) == 0 for weight in blocks.split(","))
    )


def _weighs(blocks: str) -> bool:
    ones = "," in blocks and all(number(weight) == 1 for weight in blocks.split(","))
    return blocks.upper() not in ("", "ALL") and not ones


def with_digests(uses: Iterable[Use], by_name: dict[str, tuple[str, ...]]) -> list[Use]:
    """Add to each LoRA the digests of its name, and append the LoRAs that are known by a digest only."""
    listed = list(uses)
    names = {plain_name(use.name) for use in listed}
    known = {plain_name(name): digests for name, digests in by_name.items()}
    named = [
        Use(use.name, use.model, use.clip, known.get(plain_name(use.name), use.digests)) for use in listed
    ]
    alone = [
        Use(called(name), digests=each) for name, each in by_name.items() if plain_name(name) not in names
    ]
    return named + alone


def plain_name(name: str) -> str:
    """Return a name without ":" and ",", as stable-diffusion-webui writes it in front of a digest."""
    return re.sub(r"[:,]", "", called(name)).casefold()
