"""Determine each layer's scaling from alpha tensors and PEFT's configuration.

- An alpha tensor (kohya, LyCORIS, OneTrainer): alpha / rank of that layer. This also holds for
  LyCORIS' ``rs_lora``: it saves alpha * sqrt(rank) (modules/locon.py), so alpha / rank is its training scale.
- ``lora_adapter_metadata`` (diffusers) or adapter_config.json (PEFT): alpha / rank, or alpha / sqrt(rank)
  with ``use_rslora``, by PEFT's rules for its patterns (utils/other.py, get_pattern_key).
- Neither: 1, as in the loaders of diffusers and kohya (alpha = rank).
- A LoKr of two whole factors has no rank: 1, whatever its alpha tensor says (LyCORIS modules/lokr.py). It may
  hold anything: ai-toolkit's default is 9999999999 (toolkit/config_modules.py), which is infinite in float16.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.adapters import Adapter
from lora_checks.lora.header import shown
from lora_checks.lora.layers import Layer

MAX_SCALING = 10_000.0  # far beyond any training: the defaults of sd-scripts and PEFT are 1/32 to 2


@dataclass(frozen=True, slots=True)
class Strength:
    """The alpha and scaling of a layer."""

    alpha: float | None  # None if the file states none
    scaling: float


def strengths_of(
    layers: Iterable[Layer], alphas: Mapping[str, float], adapters: Mapping[str, Adapter]
) -> dict[str, Strength]:
    """Return the strength of each layer. ``alphas``: layer name -> value of its alpha tensor."""
    return {
        layer.name: _strength(layer, alphas.get(layer.name), adapters.get(layer.place.component))
        for layer in layers
    }


def _strength(layer: Layer, alpha: float | None, adapter: Adapter | None) -> Strength:
    rank: float | None = layer.anatomy.rank
    alpha = alpha if rank else None
    where = f"{layer.name}.alpha"
    root = False
    if adapter is not None:
        _check_rank(layer, adapter)
        stated = _first(adapter.alphas.find(layer.path), adapter.alpha)
        if alpha is not None and stated is not None and stated != alpha:
            raise LoraFileError(
                f"states two alphas for {shown(layer.name)}: {alpha:g}, in {adapter.source} {stated:g}"
            )
        if alpha is None and stated is not None:
            alpha, root, where = stated, adapter.rslora, f"{layer.name} ({adapter.source})"
            rank = rank or adapter.rank  # PEFT divides a LoKr of two whole factors by the configured rank
    if alpha is None:
        return Strength(None, 1.0)
    if not math.isfinite(alpha) or alpha <= 0:
        effect = "changes nothing" if alpha == 0 else "is applied wrongly"
        raise LoraFileError(
            f"has alpha {alpha:g} at {shown(where)}, so the layer {effect}; it must be above 0"
        )
    scaling = 1.0 if not rank else alpha / (math.sqrt(rank) if root else rank)
    if scaling > MAX_SCALING:
        raise LoraFileError(
            f"has alpha {alpha:g} at {shown(where)}, {scaling:g} times its rank; no training makes that"
        )
    return Strength(alpha, scaling)


def _check_rank(layer: Layer, adapter: Adapter) -> None:
    stated = _first(adapter.ranks.find(layer.path), adapter.rank)
    if stated is not None and layer.anatomy.rank is not None and stated != layer.anatomy.rank:
        raise LoraFileError(
            f"contradicts itself: {adapter.source} says rank {stated:g} for {shown(layer.name)}, "
            f"whose matrices have rank {layer.anatomy.rank}"
        )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
