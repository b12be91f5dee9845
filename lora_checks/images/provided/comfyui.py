"""Read prompt, seed and LoRAs from ComfyUI's graph, which the PNG chunk "prompt" holds.

Nodes are recognised by their inputs, not by their names, so custom samplers and encoders are understood
too.
"""

from __future__ import annotations

from lora_checks.images.provided.comfyui_graph import Graph, Inputs, first_samplers, upstream
from lora_checks.images.provided.comfyui_loras import loras
from lora_checks.images.provided.statement import Origin, json_object

SOURCE = "its ComfyUI graph"
_TEXTS = ("text", "text_g", "text_l", "clip_g", "clip_l", "t5xxl", "prompt", "string", "value", "positive")
_NUMBERS = ("noise_seed", "seed", "value", "int")
_NO_TEXT_THERE = {"clip", "model", "vae", "negative", "control_net", "image", "latent", "pixels", "mask"}


def read(text: str) -> Origin:
    graph = json_object(text)
    prompt, seed = prompt_and_seed(graph)
    if not prompt and seed is None and not first_samplers(graph):
        return Origin()
    uses, unclear = loras(graph)
    return Origin(prompt, seed=seed, loras=uses, unclear=unclear, source=SOURCE)


def prompt_and_seed(graph: Graph) -> tuple[str, int | None]:
    """Return prompt and seed of the first sampler; "" and None if there is none or several disagree."""
    first = first_samplers(graph)
    texts = {text for inputs in first for text in _texts(graph, _conditioning(inputs))}
    seeds = {seed for inputs in first for seed in _seeds(graph, inputs)}
    return texts.pop() if len(texts) == 1 else "", seeds.pop() if len(seeds) == 1 else None


def _conditioning(sampler: Inputs) -> object:
    names = ("positive", "guider", "pipe", "basic_pipe", "sdxl_tuple")
    return next((sampler[name] for name in names if name in sampler), None)


def _texts(graph: Graph, link: object) -> set[str]:
    texts = [
        inputs[name]
        for inputs in upstream(graph, link, _NO_TEXT_THERE)
        for name in _TEXTS
        if isinstance(inputs.get(name), str)
    ]
    return {" ".join(text.split()) for text in texts if text.strip()}


def _seeds(graph: Graph, sampler: Inputs) -> set[int]:
    links = [sampler.get(name) for name in ("noise_seed", "seed", "noise")]
    nodes = [sampler, *(inputs for link in links for inputs in upstream(graph, link, frozenset()))]
    values = [inputs.get(name) for inputs in nodes for name in _NUMBERS]
    return {seed for seed in values if isinstance(seed, int) and not isinstance(seed, bool)}
