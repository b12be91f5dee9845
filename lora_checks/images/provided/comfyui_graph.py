"""Walk ComfyUI's graph in its API format: nodes, links between them, and values behind links.

The graph is a mapping of node ids to {"class_type": ..., "inputs": {...}}; an input is a value or a link
[node id, number of the output] (ComfyUI, execution.py). Muted and bypassed nodes are not in it; the contents
of subgraphs and group nodes appear as ordinary nodes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Set
from typing import Any

from lora_checks.images.provided import uses

Graph = Mapping[str, Any]
Inputs = Mapping[str, Any]

_EARLIER = ("latent_image", "samples", "latent", "image", "images", "pixels")  # what another pass has made
_PIPES = ("positive", "pipe", "basic_pipe", "sdxl_tuple")  # inputs that bring a sampler what to paint
_CONSTANT = re.compile(
    r"primitive\w*|(?:easy |impact|jw|crystools )?(?:int|float|integer|number)(?:constant| literal)?"
    r"|(?:constant|literal) ?(?:number|int|integer|float)?|power primitive \(rgthree\)",
    re.IGNORECASE,
)
_VALUES = ("value", "int", "float", "number", "Number", "val")
_ABOUT_VALUES = {"type", "number_type", "control_after_generate", "min", "max", "step"}
_MUTED = (2, 4)  # modes of a node, in graphs that keep them: never, bypass


def inputs_of(node: object) -> Inputs:
    inputs = node.get("inputs") if isinstance(node, dict) else None
    return inputs if isinstance(inputs, dict) else {}


def class_of(node: object) -> str:
    return str(node.get("class_type", "")) if isinstance(node, dict) else ""


def is_muted(node: object) -> bool:
    return isinstance(node, dict) and node.get("mode") in _MUTED


def linked(value: object) -> str | None:
    """Return the id of the node that a link comes from; None if the value is not a link."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str | int):
        return str(value[0])
    return None


def upstream(graph: Graph, link: object, without: Set[str]) -> Iterator[Inputs]:
    """Yield the node that a link comes from and all before it, once each; skip inputs named ``without``."""
    waiting: list[object] = [link]
    seen: set[str] = set()
    while waiting:
        node = linked(waiting.pop())
        if node is None or node in seen:
            continue
        seen.add(node)
        inputs = inputs_of(graph.get(node))
        yield inputs
        waiting += [value for name, value in inputs.items() if name not in without]


def samplers(graph: Graph) -> tuple[list[Inputs], list[Inputs]]:
    """Return the first samplers, and those that refine the result of another one."""
    all_samplers = [inputs for inputs in map(inputs_of, graph.values()) if _is_sampler(inputs)]
    later = [inputs for inputs in all_samplers if _refines(graph, inputs)]
    return [inputs for inputs in all_samplers if not any(inputs is refiner for refiner in later)], later


def first_samplers(graph: Graph) -> list[Inputs]:
    return samplers(graph)[0]


def _is_sampler(inputs: Inputs) -> bool:
    seeded = "seed" in inputs or "noise_seed" in inputs
    prompted = any(linked(inputs.get(name)) is not None for name in _PIPES)
    return (prompted and seeded) or {"guider", "noise"} <= set(inputs)


def _refines(graph: Graph, sampler: Inputs) -> bool:
    """Tell whether a sampler refines an image, as a second pass, a detailer or an upscaler does."""
    links = [sampler.get(name) for name in _EARLIER]
    return any(_is_sampler(inputs) for link in links for inputs in upstream(graph, link, frozenset()))


def is_reroute(node: object) -> bool:
    return "reroute" in class_of(node).lower()


def behind(graph: Graph, value: object) -> object:
    """Resolve a value through reroutes and constants; None if the link comes from another node."""
    seen: set[str] = set()
    while (node := linked(value)) is not None:
        if node in seen:
            return None
        seen.add(node)
        value = _passed_on(graph.get(node))
    return value


def _passed_on(node: object) -> object:
    inputs = inputs_of(node)
    if is_reroute(node):
        return next((value for value in inputs.values() if linked(value) is not None), None)
    if not _CONSTANT.fullmatch(class_of(node)):
        return None
    values = [value for name, value in inputs.items() if name in _VALUES]
    others = inputs.keys() - set(_VALUES) - _ABOUT_VALUES
    return values[0] if len(values) == 1 and not others else None


def number_behind(graph: Graph, value: object) -> float | None:
    return uses.number(behind(graph, value))
