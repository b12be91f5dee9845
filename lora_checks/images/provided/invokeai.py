"""Read InvokeAI's metadata: "invokeai_metadata" (invocations/metadata.py), before it "sd-metadata" and
"Dream"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from lora_checks.images.provided.statement import Origin, json_object, plain, whole_number
from lora_checks.images.provided.uses import Use, called, digest, number

SOURCE = "its InvokeAI metadata"
_WITH_LORA = re.compile(r"withLora\(([^,()]*)(?:,([^()]*))?\)", re.IGNORECASE)
_LONGEST = 20_000  # characters of a prompt that are read


def read(text: str) -> Origin:
    metadata = json_object(text)
    prompt = metadata.get("positive_prompt")
    if not isinstance(prompt, str):
        return Origin()
    entries = metadata.get("loras")
    known = isinstance(entries, list) or (entries is None and "generation_mode" in metadata)
    return Origin(
        plain(prompt),
        seed=whole_number(metadata.get("seed")),
        loras=tuple(map(_use, entries if isinstance(entries, list) else ())),
        unclear="" if known else "its InvokeAI metadata does not mention LoRAs",
        style=str(metadata.get("positive_style_prompt") or ""),
        source=SOURCE,
    )


def _use(entry: object) -> Use:
    """Read ``{"model": {"name", "hash"}, "weight"}`` (version 4) or ``{"lora": {"model_name"}}`` (3)."""
    if not isinstance(entry, dict):
        return Use("")
    model = entry.get("model") or entry.get("lora") or {}
    model = model if isinstance(model, dict) else {"name": model}
    strength = number(entry.get("weight"))
    name = model.get("name") or model.get("model_name") or ""
    return Use(called(str(name)), strength, strength, digest(model.get("hash")))


def read_older(text: str) -> Origin:
    """Read versions 1.15 to 2.3, which have LoRAs in the prompt: ``withLora(person, 0.8)``."""
    image = json_object(text).get("image")
    image = image if isinstance(image, Mapping) else {}
    prompt: Any = image.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], dict):
        prompt = prompt[0].get("prompt")
    return _written(prompt, whole_number(image.get("seed"))) if isinstance(prompt, str) else Origin()


def read_dream(text: str) -> Origin:
    """Read older versions, which have the command: ``"a photo" -s 50 -S 123``."""
    seed = re.search(r"\s-S\s*(\d{1,20})\b", text)
    prompt = re.match(r'\s*"((?:[^"\\]|\\.)*)"', text)
    written = prompt[1] if prompt else re.split(r"\s-\w", text, maxsplit=1)[0]
    return _written(written, int(seed[1]) if seed else None)


def _written(prompt: str, seed: int | None) -> Origin:
    loras, prompt = [], prompt[:_LONGEST]
    for name, weight in _WITH_LORA.findall(prompt):
        strength = number(weight) if weight else 1.0
        loras.append(Use(called(name), strength, strength))
    alone = re.sub(r"\[[^\]]*\]", " ", _WITH_LORA.sub(" ", prompt))  # [what is not wanted]
    return Origin(plain(alone).strip(" ,"), seed=seed, loras=tuple(loras), source=SOURCE)
