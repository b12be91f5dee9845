"""ComfyUI's graph in its API format, as the PNG chunk "prompt" holds it -> prompt text and seed.

The graph is a mapping of node ids to {"class_type": ..., "inputs": {...}}; an input is a value or a link
[node id, number of the output] (ComfyUI, execution.py). Nodes are known by their inputs, not by their
names, so that custom samplers and encoders are understood too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lora_checks.images.provided.uses import Use, called

Graph = Mapping[str, Any]

_TEXTS = ("text", "text_g", "text_l", "clip_g", "clip_l", "t5xxl", "prompt", "string", "value")
_NUMBERS = ("noise_seed", "seed", "value", "int")
_NO_TEXT_THERE = {"clip", "model", "vae", "negative", "control_net", "image", "latent", "pixels", "mask"}
_NO_LORA_THERE = {"negative", "latent_image", "control_net", "image", "latent", "pixels", "mask"}
_EARLIER = ("latent_image", "samples", "latent", "image", "images", "pixels")  # what another pass has made
_STRENGTHS = ("strength_model", "strength_clip", "strength", "lora_strength")


def prompt_and_seed(graph: Graph) -> tuple[str, int | None]:
    """Of the first sampler; "" and None where there is none, or where several say different things."""
    first = _first_samplers(graph)
    texts = {text for inputs in first for text in _texts(graph, inputs.get("positive", inputs.get("guider")))}
    seeds = {seed for inputs in first for seed in _seeds(graph, inputs)}
    return texts.pop() if len(texts) == 1 else "", seeds.pop() if len(seeds) == 1 else None


def loras(graph: Graph) -> tuple[Use, ...] | None:
    """That the first sampler's model and text went through; None where that is not known."""
    first = _first_samplers(graph)
    before = [inputs for sampler in first for inputs in _before(graph, sampler)]
    found = [use for inputs in before for use in _uses(inputs)]
    known = first and (found or not any(_speaks_of_loras(inputs) for inputs in before))
    return tuple(dict.fromkeys(found)) if known else None


def _first_samplers(graph: Graph) -> list[Mapping[str, Any]]:
    samplers = [inputs for inputs in map(_inputs, graph.values()) if _is_sampler(inputs)]
    return [inputs for inputs in samplers if not _refines(graph, inputs)]


def _before(graph: Graph, sampler: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for link in (sampler.get(name) for name in ("model", "guider", "positive")):
        yield from _upstream(graph, link, _NO_LORA_THERE)


def _uses(inputs: Mapping[str, Any]) -> Iterator[Use]:
    """Of ComfyUI's own loader and what imitates it, and of rgthree's, which has a mapping for each LoRA."""
    name = inputs.get("lora_name")
    if isinstance(name, str) and name != "None":
        strengths = [inputs[key] for key in _STRENGTHS if isinstance(inputs.get(key), int | float)]
        yield Use(called(name), next((value for value in strengths if value), 0 if strengths else None))
    for value in inputs.values():
        if isinstance(value, dict) and isinstance(value.get("lora"), str):
            off = value.get("on") is False
            said = 0 if off else value.get("strength")
            yield Use(called(value["lora"]), said if isinstance(said, int | float) else None)


def _speaks_of_loras(inputs: Mapping[str, Any]) -> bool:
    """In a way that is not understood: a stack, a link, a tag in a text."""
    named = {key: value for key, value in inputs.items() if "lora" in key.lower()}
    texts = [value for value in inputs.values() if isinstance(value, str)]
    return any(
        isinstance(value, list | str) and value not in ("", "None") for value in named.values()
    ) or any("<lora:" in text for text in texts)


def _inputs(node: object) -> Mapping[str, Any]:
    found = node.get("inputs") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _is_sampler(inputs: Mapping[str, Any]) -> bool:
    seeded = "seed" in inputs or "noise_seed" in inputs
    return (_linked(inputs.get("positive")) is not None and seeded) or {"guider", "noise"} <= set(inputs)


def _refines(graph: Graph, sampler: Mapping[str, Any]) -> bool:
    """Whether it goes on from what another sampler made, as a second pass, a detailer or an upscaler does."""
    links = [sampler.get(name) for name in _EARLIER]
    return any(_is_sampler(inputs) for link in links for inputs in _upstream(graph, link, frozenset()))


def _upstream(graph: Graph, link: object, without: frozenset[str] | set[str]) -> Iterator[Mapping[str, Any]]:
    """The node that a link comes from and all before it, each once, but for inputs of these names."""
    waiting: list[object] = [link]
    seen: set[str] = set()
    while waiting:
        node = _linked(waiting.pop())
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = _inputs(graph.get(node))
        yield inputs
        waiting += [value for name, value in inputs.items() if name not in without]


def _texts(graph: Graph, link: object) -> set[str]:
    found = [
        inputs[name]
        for inputs in _upstream(graph, link, _NO_TEXT_THERE)
        for name in _TEXTS
        if isinstance(inputs.get(name), str)
    ]
    return {" ".join(text.split()) for text in found if text.strip()}


def _seeds(graph: Graph, sampler: Mapping[str, Any]) -> set[int]:
    links = [sampler.get(name) for name in ("noise_seed", "seed", "noise")]
    nodes = [sampler, *(inputs for link in links for inputs in _upstream(graph, link, frozenset()))]
    found = [inputs.get(name) for inputs in nodes for name in _NUMBERS]
    return {seed for seed in found if isinstance(seed, int) and not isinstance(seed, bool)}


def _linked(value: object) -> str | None:
    """The id of the node that a link comes from; None for what is no link."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
        return str(value[0])
    return None
