"""Read the "parameters" of stable-diffusion-webui (modules/infotext_utils.py) and its imitators."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from lora_checks.images.provided import fooocus, uses
from lora_checks.images.provided.statement import Origin, plain, whole_number
from lora_checks.images.provided.uses import Use, called, digest, number

SOURCE = "its A1111 parameters"
_SETTINGS = re.compile(r"^Steps: \d", re.MULTILINE)
_PARAMETER = re.compile(r'([^:,"]*):\s*("(?:\\.|[^\\"])*"|[^,]*)')
_OF_LORAS = re.compile(r"\b(?:lora|lyco|lycoris|locon|lbw|addnet)\b|<(?:lora|lyco)\w*:", re.IGNORECASE)
_UNDERSTOOD = re.compile(
    r"template|negative template|wildcard prompt|hires prompt|"
    r"lora hashes|lora weights|lora networks|lora tags|addnet (?:enabled|(?:module|model|weight \w) \d+)"
)
_CIVITAI_LORAS = ("lora", "locon", "lycoris", "dora")


def read(text: str) -> Origin:
    lines = list(_SETTINGS.finditer(text))
    if not lines:
        return Origin()
    before, tail = text[: lines[-1].start()], text[lines[-1].start() :]
    prompt = re.split(r"^Negative prompt:", before, maxsplit=1, flags=re.MULTILINE)[0]
    tail, objects = _without_objects(tail)
    settings = _settings(tail)
    if fooocus.wrote(settings):
        return fooocus.of_settings(plain(prompt), settings)
    return Origin(
        plain(prompt),
        seed=whole_number(settings.get("seed", "")),
        loras=tuple(_loras(prompt, settings, objects)),
        unclear=_unclear(prompt, settings),
        source=SOURCE,
    )


def _settings(tail: str) -> dict[str, str]:
    """Return the settings by name in lower case: programs differ ("Lora hashes", "LoRA hashes")."""
    settings, place = {}, 0
    while -1 < place < len(tail):
        match = _PARAMETER.match(tail, place)
        if match:
            settings[match[1].strip().lower()] = _unquoted(match[2])
        place = tail.find(",", match.end() if match else place) + 1 or -1
    return settings


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value.strip('"')


def _without_objects(tail: str) -> tuple[str, dict[str, Any]]:
    """Take out the settings that are JSON, whose commas separate nothing; return the rest and these."""
    objects = {}
    for name in ("civitai resources", "civitai metadata", "hashes"):
        start = re.search(rf", {name}: (?=[\[{{])", tail, re.IGNORECASE)
        if start:
            try:
                objects[name], end = json.JSONDecoder().raw_decode(tail, start.end())
            except (ValueError, RecursionError):
                continue
            tail = tail[: start.start()] + tail[end:]
    return tail, objects


def _loras(prompt: str, settings: Mapping[str, str], objects: Mapping[str, Any]) -> list[Use]:
    tags = [*uses.tagged(prompt), *_additional_networks(settings)]
    loras = uses.with_digests(tags, _digests(settings, objects.get("hashes")))
    names = {use.name for use in loras}
    listed = [called(name) for name in settings.get("lora networks", "").split(",") if name.strip()]
    loras += [Use(name) for name in listed if name not in names]  # SD.Next
    loras += _civitai(objects.get("civitai resources")) if not loras else []
    bare = tuple(value for text in settings.get("lora hashes", "").split(",") for value in digest(text))
    return [Use(use.name, use.model, use.clip, use.digests or bare) for use in loras]


def _digests(settings: Mapping[str, str], hashes: object) -> dict[str, tuple[str, ...]]:
    """Read the digests of "Lora hashes" and of the Civitai extension's "Hashes"."""
    digests = {}
    for part in settings.get("lora hashes", "").split(","):
        name, _, text = part.rpartition(":")
        if name.strip():
            digests[name.strip()] = digest(text)
    for key, text in hashes.items() if isinstance(hashes, dict) else ():
        kind, _, name = key.partition(":")
        if kind.lower() in _CIVITAI_LORAS and name:
            digests[name] = digests.get(name, ()) + digest(text)
    return digests


def _additional_networks(settings: Mapping[str, str]) -> Iterator[Use]:
    """Read the LoRAs of the extension "Additional Networks" (AddNet); each model is ``name(digest)``."""
    off = settings.get("addnet enabled", "").lower() == "false"
    for key, value in settings.items():
        place = re.fullmatch(r"addnet model (\d+)", key)
        model = re.fullmatch(r"(.*?)(?:\(([0-9a-f]+)\))?", value)
        if place and model and value != "None":
            weights = (settings.get(f"addnet weight {letter} {place[1]}") for letter in "ab")
            unet, te = (0.0, 0.0) if off else map(number, weights)
            yield Use(called(model[1]), unet, te, digest(model[2]))


def _civitai(resources: object) -> list[Use]:
    """Read the resources of Civitai's generator: models with weights, by title and not by file name."""
    loras = []
    for resource in resources if isinstance(resources, list) else ():
        if isinstance(resource, dict) and str(resource.get("type")).lower() in _CIVITAI_LORAS:
            weight = number(resource.get("weight", 1))
            loras.append(Use("", weight, weight, digest(resource.get("hash"))))
    return loras


def _unclear(prompt: str, settings: Mapping[str, str]) -> str:
    second = settings.get("hires prompt")
    if second is not None and set(uses.tagged(second)) != set(uses.tagged(prompt)):
        return "its second pass has other LoRAs"
    if "comfyui" in settings.get("version", "").lower() and uses.tagged(prompt):
        return "ComfyUI made it, which ignores tags in a text"
    loaded = {uses.plain_name(name) for name in _digests(settings, None)}
    left_out = [use.name for use in uses.tagged(prompt) if uses.plain_name(use.name) not in loaded]
    if loaded and left_out:  # the program writes one for each LoRA that it loads
        return f"its digests leave out {uses.quoted(left_out[0])}"
    strange = [
        name
        for name, value in settings.items()
        if not _UNDERSTOOD.fullmatch(name) and _OF_LORAS.search(f"{name}: {value}")
    ]
    return f"'{strange[0]}' in its parameters is not understood" if strange else ""
