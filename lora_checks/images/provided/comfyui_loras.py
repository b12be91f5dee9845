"""List the LoRAs before the first sampler of a ComfyUI graph, and tell whether the list is complete.

Unknown is the default. Every node from the sampler's model and text encoders back to the checkpoint must be
known to add no LoRA, or be a loader whose inputs are all understood; any other node makes the picture's
LoRAs unknown. Text and numbers are not followed: ComfyUI ignores tags in a text, unless a node loads LoRAs
by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lora_checks.images.provided import comfyui_loaders as loaders
from lora_checks.images.provided.comfyui_graph import (
    Graph,
    Inputs,
    class_of,
    inputs_of,
    is_muted,
    is_reroute,
    linked,
    samplers,
)
from lora_checks.images.provided.comfyui_nodes import leaves_loras_alone, merges
from lora_checks.images.provided.uses import Use

Way = Literal["model", "clip", "both"]  # what a LoRA on this way changes

_ENCODERS = ("clip", "positive", "conditioning")
_ASIDE = {"negative", "latent_image", "latent", "samples", "control_net", "controlnet", "noise", "sigmas"}
_ASIDE |= {
    "image",
    "images",
    "pixels",
    "mask",
    "vae",
    "vae_override",
    "optional_vae",
    "sampler",
    "style_model",
}
_ASIDE |= {"clip_vision", "clip_vision_output", "clip_l", "clip_g", "cnet_stack", "controlnet_stack"}
_ASIDE |= {"optional_controlnet_stack", "upscale_model"}
_SETTINGS = {
    "seed",
    "noise_seed",
    "steps",
    "cfg",
    "sampler_name",
    "scheduler",
    "denoise",
    "add_noise",
    "guidance",
}
_SETTINGS |= {"start_at_step", "end_at_step", "return_with_leftover_noise", "preview_method", "vae_decode"}
_NUMBERS = ("strength", "weight", "_str", "_name")  # parts of the names of inputs that are values
_PASSING = ("stack", "pipe", "guider", "tuple")  # and of those that LoRAs come through


@dataclass
class _Walk:
    """A walk from one sampler back to the checkpoint."""

    graph: Graph
    uses: dict[tuple[str, Way], list[Use]] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    merging: list[str] = field(default_factory=list)
    _seen: set[tuple[str, Way]] = field(default_factory=set)

    def follow(self, link: object, way: Way) -> None:
        waiting: list[tuple[object, Way]] = [(link, way)]
        while waiting:
            value, way = waiting.pop()
            node = linked(value)
            if node is not None and (node, way) not in self._seen:
                self._seen.add((node, way))
                waiting += self._visit(node, way)

    def _visit(self, name: str, way: Way) -> Iterator[tuple[object, Way]]:
        node = self.graph.get(name)
        known = True
        if node is None:
            self.strange.append(f"node {name} is not in the graph")
        elif merges(node):
            self.merging.append(_named(name, node))
        elif loaders.speaks_of_loras(node) and not is_muted(node):
            found, why = loaders.read(self.graph, node)
            self.uses[name, way] = [_on(use, "both" if loaders.is_hook(node) else way) for use in found]
            self.strange += [f"{_named(name, node)}: {why}"] if why else []
        elif is_reroute(node) or not leaves_loras_alone(node):
            known = False
            self.strange += [] if is_reroute(node) else [_named(name, node)]
        yield from _links(inputs_of(node), way, narrow=known)

    def found(self) -> tuple[Use, ...]:
        """Return the LoRAs; a loader on both ways contributes both strengths."""
        by_place: dict[tuple[str, int], Use] = {}
        for (node, way), uses in self.uses.items():
            for i, use in enumerate(uses):
                before = by_place.get((node, i))
                by_place[node, i] = use if before is None else _either(before, use, way)
        return tuple(by_place.values())

    def why(self) -> str:
        """Return why `found` may be incomplete or its strengths wrong; "" if it is certain."""
        if self.strange:
            return self.strange[0]
        on = any(not use.is_off for use in self.found())
        return f"{self.merging[0]} merges models" if self.merging and on else ""


def loras(graph: Graph) -> tuple[tuple[Use, ...], str]:
    """Return the LoRAs, also those at strength 0, and why the list may be incomplete; "" if it is complete.

    A picture does not say which sampler of its graph made it. If their LoRAs differ, they are unknown.
    """
    first, later = samplers(graph)
    walks = [_walk(graph, sampler) for sampler in first]
    if not walks:
        return (), "its graph has no sampler that is understood"
    uses = tuple(dict.fromkeys(use for walk in walks for use in walk.found()))
    reasons = [walk.why() for walk in walks]
    if len({_on_ones(walk) for walk in walks}) > 1:
        reasons.append("the samplers of its graph have different LoRAs")
    if any(_on_ones(_walk(graph, sampler)) != _on_ones(walks[0]) for sampler in later):
        reasons.append("a later pass of its graph has other LoRAs")
    return uses, next(filter(None, reasons), "")


def _on_ones(walk: _Walk) -> frozenset[Use]:
    return frozenset(use for use in walk.found() if not use.is_off)


def _walk(graph: Graph, sampler: Inputs) -> _Walk:
    walk = _Walk(graph)
    ways: dict[str, Way] = {"model": "model", "positive": "clip"}
    for name, value in sampler.items():
        if name not in _ASIDE | _SETTINGS:
            walk.follow(value, ways.get(name, "both"))
    return walk


def _links(inputs: Inputs, way: Way, *, narrow: bool) -> Iterator[tuple[object, Way]]:
    """Yield the links to follow; for an unknown node all but pictures, latents and the like."""
    for key, value in inputs.items():
        name = key.lower().removeprefix("optional_").removeprefix("base_")
        if linked(value) is None or name in _ASIDE or any(part in name for part in _NUMBERS):
            continue
        if name in ("hooks", "prev_hooks"):
            yield value, "both"
        elif name.startswith(("model", "unet")):
            if way != "clip":
                yield value, "model"
        elif name.startswith(_ENCODERS):
            if way != "model":
                yield value, "clip"
        elif not narrow or any(part in name for part in _PASSING):
            yield value, way


def _on(use: Use, way: Way) -> Use:
    """Limit a LoRA to the way it is on: the sampler's model or the text encoders."""
    if way == "both":
        return use
    return Use(use.name, use.model if way == "model" else 0.0, use.clip if way == "clip" else 0.0)


def _either(before: Use, use: Use, way: Way) -> Use:
    if way == "model":
        return Use(use.name, use.model, before.clip)
    return Use(use.name, before.model, use.clip) if way == "clip" else use


def _named(name: str, node: object) -> str:
    return f"node {name} ({class_of(node) or 'without a class'})"
