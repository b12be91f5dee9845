"""Read how a picture was made from the text that a program wrote into its file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from lora_checks.images.png import METADATA_KEY
from lora_checks.images.provided import a1111, comfyui, fooocus, invokeai, swarmui
from lora_checks.images.provided.statement import Origin, json_object, plain
from lora_checks.images.provided.texts import texts
from lora_checks.images.provided.uses import Use, digest

__all__ = ["Origin", "plain", "read_origin"]

Reader = Callable[[str], Origin]


def read_origin(path: Path) -> Origin:
    """Read the picture's text; return an empty `Origin` if no reader understands it.

    Some ComfyUI nodes also write A1111's text, with tags that ComfyUI ignored, so the LoRAs are taken from
    the graph.
    """
    there = texts(path)
    origins = [read(there[key]) for key, read in _READERS if key in there]
    known = [origin for origin in origins if origin != Origin()]
    if not known:
        return Origin()
    graph = [origin for origin in known if origin.source == comfyui.SOURCE]
    if not graph or known[0] is graph[0]:
        return known[0]
    return replace(known[0], loras=graph[0].loras, unclear=graph[0].unclear)


def _ours(text: str) -> Origin:
    """Read the gate's own recipe (`png.recipe`)."""
    recipe = json_object(text)
    sha256, scale = recipe.get("lora_sha256"), recipe.get("lora_scale")
    if not isinstance(recipe.get("prompt"), str) or not isinstance(recipe.get("seed"), int):
        return Origin()
    loras = (Use("", scale, scale, digest(sha256)),) if sha256 else ()
    return Origin(recipe["prompt"], seed=recipe["seed"], loras=loras, source="its metadata")


def _parameters(text: str) -> Origin:
    """Read the keyword "parameters", which several programs use."""
    readers: tuple[Reader, ...] = (swarmui.read, fooocus.read, a1111.read)
    return next((origin for read in readers if (origin := read(text)) != Origin()), Origin())


_READERS: tuple[tuple[str, Reader], ...] = (
    (METADATA_KEY, _ours),
    ("invokeai_metadata", invokeai.read),
    ("sd-metadata", invokeai.read_older),
    ("Dream", invokeai.read_dream),
    ("parameters", _parameters),
    ("prompt", comfyui.read),
)
