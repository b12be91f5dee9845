"""The reference: a LoRA file merged into the weights of a pipeline, from the published formulas alone.

Nothing of lora_checks is imported. Where a file's layer belongs comes from tests/layouts.py. Everything is
computed in float64 from the tensors as stored.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import layouts
import torch
from safetensors import safe_open
from torch import Tensor

Parts = Mapping[str, Tensor]

# Longest first: `_lora.down` belongs to the name in the layouts that have it.
_ENDINGS = {
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_magnitude_vector": "magnitude",
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_mid.weight": "mid",
    ".lora_A.default.weight": "down",
    ".lora_B.default.weight": "up",
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_B.bias": "bias",
    ".down.weight": "down",
    ".up.weight": "up",
}
_LYCORIS = re.compile(r"(.+)\.(alpha|dora_scale|(?:hada|lokr)_\w+|diff(?:_b)?|[wb]_norm)")


def merge(pipe: Any, path: Path, strength: float = 1.0) -> int:
    """Adds `strength` times what the file says to the pipeline's weights; the number of layers it has."""
    names = layouts.every(pipe)
    with safe_open(path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a mapping
        metadata = file.metadata() or {}
    layers = by_layer(tensors)
    for name, parts in layers.items():
        add(pipe, names[name], parts, Scale(metadata, names[name]), strength)
    return len(layers)


def layers(pipe: Any, path: Path) -> set[str]:
    """The modules of the pipeline that the file changes."""
    names = layouts.every(pipe)
    with safe_open(path, "pt") as file:
        spots = [names[split(key)[0]] for key in file.keys()]  # noqa: SIM118  # not a mapping
    return {f"{spot.component}.{name}" for spot in spots for name in spot.paths}


def by_layer(tensors: Parts) -> dict[str, dict[str, Tensor]]:
    layers: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for key, tensor in tensors.items():
        name, part = split(key)
        layers[name][part] = tensor.double()
    return layers


def split(key: str) -> tuple[str, str]:
    """`unet.conv_in.lora_A.weight` -> (`unet.conv_in`, `down`)."""
    for ending, part in _ENDINGS.items():
        if key.endswith(ending):
            return key.removesuffix(ending), part
    match = _LYCORIS.fullmatch(key)
    assert match, key
    return match[1], match[2]


class Scale:
    """What a PEFT configuration in the metadata says of a layer's strength; without one, alpha / rank."""

    def __init__(self, metadata: Mapping[str, str], spot: layouts.Spot) -> None:
        every = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        start = f"{spot.component}."
        self.config = {
            key.removeprefix(start): value for key, value in every.items() if key.startswith(start)
        }
        self.path = spot.paths[0]

    def __call__(self, rank: int, alpha: Tensor | None) -> float:
        if alpha is not None:
            return float(alpha) / rank
        if not self.config:
            return 1.0
        pattern = self.config.get("alpha_pattern") or {}
        value = next((pattern[key] for key in pattern if self._is(key)), self.config["lora_alpha"])
        return value / (math.sqrt(rank) if self.config.get("use_rslora") else rank)

    def _is(self, key: str) -> bool:
        """PEFT, utils/other.py, `get_pattern_key`: the end of the module's name."""
        return re.fullmatch(rf"(.*\.)?({key})", self.path) is not None


def add(pipe: Any, spot: layouts.Spot, parts: Parts, scale: Scale, strength: float) -> None:
    """One layer, on all of its modules."""
    modules = [getattr(pipe, spot.component).get_submodule(path) for path in spot.paths]
    weight = torch.cat([module.weight.detach().double() for module in modules])
    file_order = swap(weight) if spot.swapped else weight
    change = weight_change(parts, file_order, scale) * strength
    bias = next((parts[name] * strength for name in ("bias", "diff_b", "b_norm") if name in parts), None)
    if spot.swapped:
        change, bias = swap(change), None if bias is None else swap(bias)
    rows = [len(module.weight) for module in modules]
    with torch.no_grad():
        for module, part in zip(modules, (weight + change).split(rows), strict=True):
            module.weight.copy_(part)
        if bias is not None:
            for module, part in zip(modules, bias.split(rows), strict=True):
                module.bias.copy_(module.bias.double() + part)


def swap(rows: Tensor) -> Tensor:
    return torch.cat(rows.chunk(2)[::-1])


def weight_change(parts: Parts, weight: Tensor, scale: Scale) -> Tensor:
    """W' - W at strength 1."""
    if "diff" in parts:  # LyCORIS, modules/full.py
        return parts["diff"].reshape(weight.shape)
    if "w_norm" in parts:  # LyCORIS, modules/norms.py
        return parts["w_norm"]
    change = low_rank(parts, scale).reshape(weight.shape)
    if (
        "magnitude" in parts
    ):  # PEFT, tuners/lora/dora.py: of the rows, (out) or for convolutions (1, out, 1, 1)
        return decomposed(weight + change, parts["magnitude"].reshape(-1, 1)) - weight
    if "dora_scale" in parts:
        return decomposed(weight + change, parts["dora_scale"]) - weight
    return change


def decomposed(weight: Tensor, magnitude: Tensor) -> Tensor:
    """DoRA (arXiv 2402.09353, equation 5): m W / |W|.

    LyCORIS, functional/general.py, `_weight_decompose`: the norm of rows or of columns, as the shape of
    `dora_scale` tells, (out, 1, ...) or (1, in, ...).
    """
    if magnitude.shape[0] == 1 and (len(weight), magnitude.numel()) != (1, 1):
        norm = weight.transpose(0, 1).flatten(1).norm(dim=1)
        return weight * (magnitude.reshape(-1) / norm).reshape(1, -1, *[1] * (weight.ndim - 2))
    norm = weight.flatten(1).norm(dim=1)
    return weight * (magnitude.reshape(-1) / norm).reshape(-1, *[1] * (weight.ndim - 1))


def low_rank(parts: Parts, scale: Scale) -> Tensor:
    alpha = parts.get("alpha")
    if "down" in parts:
        return scale(len(parts["down"]), alpha) * lora(parts)
    if "hada_w1_a" in parts:
        return scale(len(parts["hada_w1_b"]), alpha) * loha(parts)
    rank = next((len(parts[name]) for name in ("lokr_w2_b", "lokr_w1_b") if name in parts), None)
    # LyCORIS, modules/lokr.py: "use scale = 1" where neither factor is factored itself
    return (1.0 if rank is None else scale(rank, alpha)) * lokr(parts)


def lora(parts: Parts) -> Tensor:
    """LoRA (arXiv 2106.09685): B A. LoCon: a convolution, then one of 1x1; Tucker: one of 1x1, k x k, 1x1."""
    down, up = parts["down"], parts["up"].flatten(1)
    if "mid" in parts:
        return torch.einsum("or,rs...,si->oi...", up, parts["mid"], down.flatten(1))
    return (up @ down.flatten(1)).reshape(len(up), *down.shape[1:])


def loha(parts: Parts) -> Tensor:
    """LoHa (FedPara, arXiv 2108.06098): (A1 B1) * (A2 B2), element by element."""
    halves = []
    for half in "12":
        left, right = parts[f"hada_w{half}_a"], parts[f"hada_w{half}_b"]
        core = parts.get(f"hada_t{half}")
        if core is None:
            halves.append(left @ right)
        else:
            halves.append(torch.einsum("rs...,ro,si->oi...", core, left, right))
    return halves[0] * halves[1]


def lokr(parts: Parts) -> Tensor:
    """LoKr (LyCORIS, arXiv 2309.14859): the Kronecker product of a small and a large factor."""
    small = parts["lokr_w1"] if "lokr_w1" in parts else parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    if "lokr_w2" in parts:
        large = parts["lokr_w2"]
    elif "lokr_t2" in parts:
        core, left, right = parts["lokr_t2"], parts["lokr_w2_a"], parts["lokr_w2_b"]
        large = torch.einsum("rs...,ro,si->oi...", core, left, right)
    else:
        large = parts["lokr_w2_a"] @ parts["lokr_w2_b"].flatten(1)
    return torch.kron(small.reshape(*small.shape, *[1] * (large.ndim - 2)), large.contiguous())
