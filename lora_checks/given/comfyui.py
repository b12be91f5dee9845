"""ComfyUI's graph in its API format, as the PNG chunk "prompt" holds it -> prompt text and seed.

The graph is a mapping of node ids to {"class_type": ..., "inputs": {...}}; an input is a value or a link
[node id, number of the output] (ComfyUI, execution.py). Nodes are known by their inputs, not by their
names, so that custom samplers and encoders are understood too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Graph = Mapping[str, Any]

_TEXTS = ("text", "text_g", "text_l", "clip_g", "clip_l", "t5xxl", "prompt", "string", "value")
_NUMBERS = ("noise_seed", "seed", "value", "int")
_NO_TEXT_THERE = {"clip", "model", "vae", "negative", "control_net", "image", "latent", "pixels", "mask"}


def prompt_and_seed(graph: Graph) -> tuple[str, int | None]:
    """Of the first sampler; "" and None where there is none, or where several say different things."""
    samplers = [inputs for inputs in map(_inputs, graph.values()) if _is_sampler(inputs)]
    first = [inputs for inputs in samplers if not _refines(graph, inputs)]
    texts = {text for inputs in first for text in _texts(graph, inputs.get("positive", inputs.get("guider")))}
    seeds = {seed for inputs in first for seed in _seeds(graph, inputs)}
    return texts.pop() if len(texts) == 1 else "", seeds.pop() if len(seeds) == 1 else None


def _inputs(node: object) -> Mapping[str, Any]:
    found = node.get("inputs") if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _is_sampler(inputs: Mapping[str, Any]) -> bool:
    seeded = "seed" in inputs or "noise_seed" in inputs
    return (_linked(inputs.get("positive")) is not None and seeded) or {"guider", "noise"} <= set(inputs)


def _refines(graph: Graph, sampler: Mapping[str, Any]) -> bool:
    """Whether it goes on from another sampler's latents, as a second pass does."""
    return any(_is_sampler(inputs) for inputs in _upstream(graph, sampler.get("latent_image"), frozenset()))


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
