"""What a picture itself says of how it was made: text of ours, of A1111 or of ComfyUI, in PNG or EXIF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lora_checks.images.png import METADATA_KEY
from lora_checks.images.provided import comfyui, uses
from lora_checks.images.provided.uses import Use

KEYS = (METADATA_KEY, "parameters", "prompt")
_FORMATS = ("PNG", "JPEG", "WEBP")
_EXIF, _USER_COMMENT, _MODEL, _MAKE = 0x8769, 0x9286, 0x0110, 0x010F
_SETTINGS = re.compile(r"^Steps: \d", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of one picture; "" and None are unknown."""

    prompt: str = ""  # id or text
    place: int | None = None  # among all that the policy asks for, counted from 0
    seed: int | None = None
    loras: tuple[str, ...] | None = None  # digests, or their beginnings; () is made without a LoRA
    named: tuple[str, ...] = ()  # the LoRAs as the program was told them
    scale: float | None = None
    step: str = ""  # of the training
    source: str = ""  # who says so, for messages


def plain(text: str) -> str:
    """A prompt as it is compared: no LoRA tags nor their commas, single spaces."""
    alone, tags = uses.without_tags(text)
    joined = " ".join(alone.split())
    return re.sub(r",(?: ?,)+", ",", joined).strip(" ,") if tags else joined


def read_origin(path: Path) -> Origin:
    """From the picture's text; an empty `Origin` where it has none that is understood."""
    texts = _texts(path)
    readers: tuple[Callable[[str], Origin], ...] = (_ours, _a1111, _comfyui)
    found = [read(texts[key]) for key, read in zip(KEYS, readers, strict=True) if key in texts]
    return next((origin for origin in found if origin != Origin()), Origin())


def _texts(path: Path) -> Mapping[str, str]:
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.format != "PNG":
                return dict(_exif_texts(image.getexif()))
            if not any(key in image.info for key in KEYS):
                image.load()  # text may stand behind the pixels
            return {str(key): str(value) for key, value in image.info.items() if isinstance(value, str)}
    except Exception:  # another format, or damaged: what cannot be decoded is refused elsewhere
        return {}


def _exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    """A1111's user comment, and ComfyUI's "prompt:{...}" in the place of a camera's name."""
    for tag in (_MODEL, _MAKE):
        key, _, text = str(exif.get(tag, "")).partition(":")
        if key in KEYS:
            yield key, text
    comment = exif.get_ifd(_EXIF).get(_USER_COMMENT, b"")
    if isinstance(comment, bytes):
        yield "parameters", _commented(comment)


def _commented(comment: bytes) -> str:
    """EXIF names the code in 8 bytes and not which half of a UTF-16 character is first: the likelier text."""
    code, text = comment[:8], comment[8:]
    if code != b"UNICODE\0":
        return text.decode("utf-8", "replace")
    return max((text.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")), key=_latin)


def _latin(text: str) -> int:
    return sum(letter.isascii() for letter in text)


def _ours(text: str) -> Origin:
    """As `png.recipe` writes it."""
    recipe = _json(text)
    lora = recipe.get("lora_sha256")
    if not isinstance(recipe.get("prompt"), str) or not isinstance(recipe.get("seed"), int):
        return Origin()
    scale = recipe.get("lora_scale") if lora else None
    loras = (str(lora),) if lora and scale != 0 else ()
    return Origin(recipe["prompt"], seed=recipe["seed"], loras=loras, scale=scale, source="its metadata")


def _a1111(text: str) -> Origin:
    """The "parameters" of stable-diffusion-webui (modules/infotext_utils.py) and what imitates it."""
    settings = list(_SETTINGS.finditer(text))
    if not settings:
        return Origin()
    said, tail = text[: settings[-1].start()], text[settings[-1].start() :]
    prompt = re.split(r"^Negative prompt:", said, maxsplit=1, flags=re.MULTILINE)[0]
    seed = re.search(r", Seed: (\d{1,20})\b", tail)
    on = [use for use in uses.tagged(prompt) if use.strength != 0]
    return Origin(
        plain(prompt),
        seed=int(seed[1]) if seed else None,
        loras=_a1111_loras(text, prompt, tail, on),
        named=uses.names(on),
        scale=uses.strength(on),
        source="its A1111 parameters",
    )


def _a1111_loras(text: str, prompt: str, tail: str, on: Sequence[Use]) -> tuple[str, ...] | None:
    """Beginnings of digests, of the LoRAs that are not at strength 0; "" is one of which nothing is known."""
    off = {use.name for use in uses.tagged(prompt)} - {use.name for use in on}
    said = re.search(r', Lora hashes: "([^"]*)"', tail)
    hashes = re.findall(r"([^,:]+): ([0-9a-f]{8,64})", said[1]) if said else []
    loras = tuple(digest for name, digest in hashes if name.strip() not in off)
    if loras or on:
        return loras or ("",)
    return () if off or not re.search("lora|lyco", text, re.IGNORECASE) else None


def _comfyui(text: str) -> Origin:
    graph = _json(text)
    prompt, seed = comfyui.prompt_and_seed(graph)
    if not prompt and seed is None:
        return Origin()
    found = comfyui.loras(graph)
    on = [use for use in found or () if use.strength != 0]
    loras = None if found is None else ("",) if on else ()
    return Origin(
        prompt,
        seed=seed,
        loras=loras,
        named=uses.names(on),
        scale=uses.strength(on),
        source="its ComfyUI graph",
    )


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
