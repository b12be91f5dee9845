"""Read SwarmUI's metadata: a JSON object with "sui_image_params" (its docs/Image Metadata Format.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_checks.images.provided import uses
from lora_checks.images.provided.statement import Origin, json_object, plain, whole_number
from lora_checks.images.provided.uses import Use, called, digest, number

SOURCE = "its SwarmUI parameters"
_WHOLE = ("", "-1", "0", "5")  # sections of the prompt: all of it, or all that the base model paints


def read(text: str) -> Origin:
    metadata = json_object(text)
    params = metadata.get("sui_image_params")
    if not isinstance(params, Mapping):
        return Origin()
    extra = metadata.get("sui_extra_data")
    extra = extra if isinstance(extra, Mapping) else {}
    prompt = str(params.get("prompt") or "")
    return Origin(
        plain(prompt),
        seed=whole_number(params.get("seed")),
        loras=tuple(_loras(params, metadata.get("sui_models"))),
        unclear=_unclear(params, extra, prompt),
        source=SOURCE,
    )


def _list(params: Mapping[str, Any], name: str) -> list[str]:
    """Return a parameter that is a list or a text with commas."""
    value = params.get(name)
    if isinstance(value, list):
        return [str(each).strip() for each in value]
    return [each.strip() for each in str(value).split(",")] if value not in (None, "") else []


def _loras(params: Mapping[str, Any], models: object) -> list[Use]:
    """Read the LoRAs. Default weights: 1, and the network's for the text encoder (WorkflowGenerator.cs)."""
    weights, encoders = _list(params, "loraweights"), _list(params, "loratencweights")
    loras = []
    for i, name in enumerate(_list(params, "loras")):
        model = number(weights[i]) if i < len(weights) else 1.0
        clip = number(encoders[i]) if i < len(encoders) else model
        loras.append(Use(called(name), model, clip))
    listed = [each for each in models if isinstance(each, dict)] if isinstance(models, list) else []
    by_name = {str(each.get("name")): digest(each.get("hash")) for each in listed}
    used = {use.name for use in loras}
    return uses.with_digests(loras, {name: each for name, each in by_name.items() if called(name) in used})


def _unclear(params: Mapping[str, Any], extra: Mapping[str, Any], prompt: str) -> str:
    names = _list(params, "loras")
    sections = _list(params, "lorasectionconfinement")
    for name, section in zip(names, sections, strict=False):
        if section not in _WHOLE:
            return f"'{called(name)}' is confined to section {section} of the prompt"
    unused = extra.get("unused_parameters")
    if isinstance(unused, list) and any("lora" in str(each) for each in unused):
        return "SwarmUI says that it ignored a LoRA parameter"
    tags = uses.tagged(prompt)
    return "a tag in its prompt is not among its LoRAs" if tags and not names else ""
