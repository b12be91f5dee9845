"""LoRAs of plain factors on all layers of a network, written under any names, and merged by the formula.

A change is kept by the module that it belongs to, so that the merge knows nothing of a file's names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

SIZE = 0.3  # of a change: of its weight's root mean square
Spot = tuple[str, str]  # component, path of the module
Change = Mapping[Spot, tuple[Tensor, Tensor]]  # down and up, of rank 2


def layers_of(pipe: Any, *components: str) -> Iterator[tuple[Spot, nn.Module]]:
    """Every linear layer and plain convolution."""
    for component in components:
        for path, module in getattr(pipe, component).named_modules():
            if isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1):
                yield (component, path), module


def low_rank(module: nn.Module, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    weight: Any = module.weight
    down = torch.randn((2, *weight.shape[1:]), generator=generator)
    up = torch.randn((len(weight), 2, *(1,) * (weight.ndim - 2)), generator=generator)
    change = up.flatten(1) @ down.flatten(1)
    return down, up * SIZE * (weight.detach().square().mean() / change.square().mean()).sqrt()


def drawn(pipe: Any, *components: str, seed: int = 0) -> dict[Spot, tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return {spot: low_rank(module, generator) for spot, module in layers_of(pipe, *components)}


def peft(component: str, path: str) -> str:
    """As diffusers' training scripts name a layer."""
    return f"{component}.{path}"


def write(change: Change, path: Path, name: Callable[[str, str], str] = peft) -> Path:
    tensors = {}
    for (component, module), (down, up) in change.items():
        tensors[f"{name(component, module)}.lora_A.weight"] = down.contiguous()
        tensors[f"{name(component, module)}.lora_B.weight"] = up.contiguous()
    save_file(tensors, path)
    return path


def merge(pipe: Any, change: Change) -> dict[nn.Module, Tensor]:
    """Add every change to its weight, in float64; the weights as they were."""
    before = {}
    for (component, path), (down, up) in change.items():
        module = getattr(pipe, component).get_submodule(path)
        weight = before[module] = module.weight.data
        added = (up.double().flatten(1) @ down.double().flatten(1)).reshape(weight.shape)
        module.weight.data = (weight.double() + added).to(weight.dtype)
    return before
