"""What every layer of a pipeline does with fixed numbers: the weights that it acts with, adapters included.

A layer that differs in one weight or bias answers otherwise, as the numbers are drawn at random. So two
pipelines whose layers all act alike paint alike; that the pipeline calls them is for pictures to show.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import layouts
import torch
from torch import Tensor, nn

Acts = Mapping[str, Tensor]
TOLERANCE = 1e-5  # of a layer's largest answer


def acts(pipe: Any, like: Any) -> Acts:
    """The answer of each linear layer and convolution, and the weights of all else, by name.

    Args:
        pipe: The pipeline, with adapters or without.
        like: One of the same base without adapters, for the names.
    """
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        for component, plain in layouts.parts(like).items():
            model = getattr(pipe, component)
            for path, module in _modules(plain):
                found |= _of_module(f"{component}.{path}", module, model.get_submodule(path))
    return found


def _modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All but Downsample2D's second name of its convolution, by which nobody calls it."""
    modules = model.named_modules(remove_duplicate=False)
    return [(path, module) for path, module in modules if not path.endswith("Conv2d_0")]


def _of_module(name: str, plain: nn.Module, module: nn.Module) -> dict[str, Tensor]:
    if isinstance(plain, nn.Linear | nn.Conv2d):
        return {name: module(_numbers(tuple(plain.weight.shape)))}
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    return {f"{name}.{key}": value.clone() for key, value in own}


@functools.cache
def _numbers(weight: tuple[int, ...]) -> Tensor:
    """Inputs for a weight (out, in, ...): eight rows, or two pictures, of which no kernel is larger."""
    shape = (2, weight[1], *(max(6, side) for side in weight[2:])) if len(weight) > 2 else (8, weight[1])
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def differing(some: Acts, others: Acts, tolerance: float = TOLERANCE) -> set[str]:
    """The names of those that do not answer alike; at a tolerance of 0, bit for bit."""
    return {
        name
        for name in some.keys() | others.keys()
        if name not in some or name not in others or _far(some[name], others[name], tolerance)
    }


def _far(some: Tensor, other: Tensor, tolerance: float) -> bool:
    if some.shape != other.shape or not some.numel():
        return some.shape != other.shape
    within = tolerance * float(other.abs().max())
    return not float((some - other).abs().max()) <= within  # NaN is far


def adapted(pipe: Any) -> list[str]:
    """The modules with an adapter of peft around them."""
    return [
        f"{component}.{path}"
        for component, model in layouts.parts(pipe).items()
        for path, module in model.named_modules()
        if hasattr(module, "base_layer")
    ]
