"""Name the layers that a file only numbers (`lora.numbered`), by the order of the base's modules.

cloneofsimo's loader walks through the modules (lora_diffusion/lora.py, `_find_modules`): for each of a listed
class it takes the linear layers below it. diffusers has since moved the feed-forward behind the second
attention (models/attention.py, BasicTransformerBlock); a file is of one order or the other, and its shapes
tell which.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.diffusion.apply.networks import core, weighted
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.numbered import LAYER

_BLOCK = re.compile(r"(.+)\.(attn1|ff|attn2)\..+")
_BEFORE = ("attn1", "ff", "attn2")  # diffusers' order when these files were made
_PROJECTIONS = (".to_q", ".to_k", ".to_v", ".to_out.0", ".k_proj", ".v_proj", ".q_proj", ".out_proj")
Tensors = Mapping[str, Any]  # tensor name -> anything with a shape


def named(lora: Lora, networks: Mapping[str, Any], tensors: Tensors) -> Lora:
    """Return the LoRA with the base's names in place of numbers.

    Raises:
        GenerationError: The base has another number of such layers, or in no order has the file's shapes.
    """
    names: dict[str, str] = {}
    for component, classes in lora.numbered.items():
        if component not in networks:
            continue  # placement tells that the base has none such
        layers = sorted((layer for layer in lora.layers if layer.component == component), key=_number)
        shapes = [_shape(layer, tensors) for layer in layers]
        try:
            paths = _paths(networks[component], classes, shapes)
        except GenerationError as error:
            what = f"{len(layers)} linear layers of its {component}'s {' and '.join(classes)}"
            raise GenerationError(f"{lora.path.name}: it numbers {what}, {error}") from None
        names |= {layer.name: f"{component}.{path}" for layer, path in zip(layers, paths, strict=True)}
    if not names:
        return lora
    layers_named = tuple(replace(layer, name=names.get(layer.name, layer.name)) for layer in lora.layers)
    return replace(lora, layers=layers_named)


def _number(layer: LoraLayer) -> int:
    match = LAYER.fullmatch(layer.name)
    return int(match[2]) if match else 0


def _shape(layer: LoraLayer, tensors: Tensors) -> tuple[int, ...]:
    up, down = (tensors[layer.parts[part]].shape for part in ("up", "down"))
    return (up[0], down[1])


def _paths(network: Any, classes: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """Return the modules in the order that gives them these shapes."""
    paths = list(_linear(network, classes))
    if len(paths) != len(shapes):
        raise GenerationError(f"and the base has {len(paths)}: which is which cannot be known")
    for order in (paths, _as_before(paths)):
        if [weights.shape(core(network.get_submodule(path))) for path in order] == list(shapes):
            return order
    raise GenerationError("and the base's have other shapes, in diffusers' order of today and of that time")


def _linear(network: Any, classes: Sequence[str]) -> Iterator[str]:
    """Yield the linear layers below modules of these classes, in the network's order."""
    for name, module in network.named_modules():
        if type(module).__name__ in classes:
            paths = weighted(module, f"{name}.")
            linear = (path for path in paths if _is_linear(network, path))
            yield from sorted(linear, key=_in_attention)


def _is_linear(network: Any, path: str) -> bool:
    import torch

    return isinstance(core(network.get_submodule(path)), torch.nn.Linear)


def _in_attention(path: str) -> int:
    """Return the place that a projection had in its attention, whatever the installed version's is."""
    return next((rank for rank, name in enumerate(_PROJECTIONS) if path.endswith(name)), 0)


def _as_before(paths: Sequence[str]) -> list[str]:
    """Return the paths with each feed-forward between the two attentions of its block."""
    return [path for _, members in groupby(paths, _block) for path in sorted(members, key=_rank)]


def _block(path: str) -> str:
    match = _BLOCK.fullmatch(path)
    return match[1] if match else path


def _rank(path: str) -> int:
    match = _BLOCK.fullmatch(path)
    return _BEFORE.index(match[2]) if match else 0
