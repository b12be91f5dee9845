"""What a picture itself says of how it was made: PNG text of ours, of A1111 or of ComfyUI."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lora_checks.given import comfyui
from lora_checks.png import METADATA_KEY

KEYS = (METADATA_KEY, "parameters", "prompt")
_LORA_TAG = re.compile(r"<(?:lora|lyco):[^>]*>")
_SETTINGS = re.compile(r"^Steps: \d", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of one picture; "" and None are unknown."""

    prompt: str = ""  # id or text
    place: int | None = None  # among all that the policy asks for, counted from 0
    seed: int | None = None
    loras: tuple[str, ...] | None = None  # digests, or their beginnings; () is made without a LoRA
    scale: float | None = None
    step: str = ""  # of the training
    source: str = ""  # who says so, for messages


def plain(text: str) -> str:
    """A prompt as it is compared: no LoRA tags nor their commas, single spaces."""
    alone, tags = _LORA_TAG.subn(" ", text)
    joined = " ".join(alone.split())
    return re.sub(r",(?: ?,)+", ",", joined).strip(" ,") if tags else joined


def read_origin(path: Path) -> Origin:
    """From the PNG's text; an empty `Origin` where it has none that is understood."""
    texts = _texts(path)
    readers: tuple[Callable[[str], Origin], ...] = (_ours, _a1111, _comfyui)
    found = [read(texts[key]) for key, read in zip(KEYS, readers, strict=True) if key in texts]
    return next((origin for origin in found if origin != Origin()), Origin())


def _texts(path: Path) -> Mapping[str, str]:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if not any(key in image.info for key in KEYS):
                image.load()  # text may stand behind the pixels
            return {str(key): str(value) for key, value in image.info.items() if isinstance(value, str)}
    except Exception:  # another format, or damaged: what cannot be decoded is refused elsewhere
        return {}


def _ours(text: str) -> Origin:
    """As `png.recipe` writes it."""
    recipe = _json(text)
    lora = recipe.get("lora_sha256")
    if not isinstance(recipe.get("prompt"), str) or not isinstance(recipe.get("seed"), int):
        return Origin()
    loras = (str(lora),) if lora else ()
    scale = recipe.get("lora_scale") if lora else None
    return Origin(recipe["prompt"], seed=recipe["seed"], loras=loras, scale=scale, source="its metadata")


def _a1111(text: str) -> Origin:
    """The "parameters" of stable-diffusion-webui (modules/infotext_utils.py) and what imitates it."""
    settings = list(_SETTINGS.finditer(text))
    if not settings:
        return Origin()
    said, tail = text[: settings[-1].start()], text[settings[-1].start() :]
    prompt = re.split(r"^Negative prompt:", said, maxsplit=1, flags=re.MULTILINE)[0]
    seed = re.search(r", Seed: (\d{1,20})\b", tail)
    hashes = re.search(r', Lora hashes: "([^"]*)"', tail)
    loras = tuple(re.findall(r": ([0-9a-f]{8,64})", hashes[1])) if hashes else None
    if not loras and _LORA_TAG.search(prompt):
        loras = ("",)  # one of which nothing more is known
    return Origin(
        plain(prompt), seed=int(seed[1]) if seed else None, loras=loras or None, source="its A1111 parameters"
    )


def _comfyui(text: str) -> Origin:
    prompt, seed = comfyui.prompt_and_seed(_json(text))
    return Origin(prompt, seed=seed, source="its ComfyUI graph") if prompt or seed is not None else Origin()


def _json(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
