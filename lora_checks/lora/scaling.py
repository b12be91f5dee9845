"""How strongly each layer counts, as the file states it: alpha tensors and PEFT's configuration.

- An alpha tensor (kohya, LyCORIS, OneTrainer): alpha / rank of that layer. LyCORIS' ``rs_lora`` is no
  exception: it saves alpha * sqrt(rank) (modules/locon.py), so alpha / rank is what it trained at.
- ``lora_adapter_metadata`` (diffusers' save_lora_weights): alpha / rank, or alpha / sqrt(rank) with
  ``use_rslora``, by PEFT's rules for its patterns (utils/other.py, get_pattern_key).
- Neither: 1, which is the convention of diffusers' loader and of kohya's (alpha = rank).
- A LoKr of two whole factors has no rank: 1, whatever its alpha tensor says (LyCORIS modules/lokr.py). It may
  say anything: ai-toolkit's default is 9999999999 (toolkit/config_modules.py), which is infinite in float16.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lora_checks.errors import LoraFileError
from lora_checks.lora.header import shown
from lora_checks.lora.layers import Layer

ADAPTER_METADATA = "lora_adapter_metadata"  # where diffusers keeps the PEFT configurations, as JSON
MAX_ADAPTER = 1_000_000  # characters; all of SDXL with a pattern for each layer has 100,000
MAX_SCALING = 10_000.0  # no training gets there: sd-scripts' and PEFT's defaults are 1/32 to 2


@dataclass(frozen=True, slots=True)
class Strength:
    alpha: float | None  # None where the file states none
    scaling: float


@dataclass(frozen=True, slots=True)
class _Pattern:
    """PEFT's ``alpha_pattern`` or ``rank_pattern``: names, whole after "^" or else from any dot on."""

    exact: Mapping[str, tuple[int, float]]  # name -> place in the configuration, number
    endings: Mapping[str, tuple[int, float]]

    def find(self, path: str) -> float | None:
        """The number of the first entry that fits, as PEFT takes it."""
        parts = path.split(".")
        ends = (self.endings.get(".".join(parts[i:])) for i in range(len(parts)))
        found = [hit for hit in (self.exact.get(path), *ends) if hit]
        return min(found)[1] if found else None


@dataclass(frozen=True, slots=True)
class Adapter:
    """One component's PEFT configuration."""

    alpha: float | None
    rank: float | None
    alphas: _Pattern
    ranks: _Pattern
    rslora: bool


def strengths_of(
    layers: Iterable[Layer], alphas: Mapping[str, float], metadata: Mapping[str, str]
) -> dict[str, Strength]:
    """Layer name -> strength. ``alphas``: layer name -> the number in its alpha tensor."""
    adapters = _adapters(metadata)
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
        said = _first(adapter.alphas.find(layer.path), adapter.alpha)
        if alpha is not None and said is not None and said != alpha:
            raise LoraFileError(f"states two alphas for {shown(layer.name)}: {alpha:g}, in metadata {said:g}")
        if alpha is None and said is not None:
            alpha, root, where = said, adapter.rslora, f"{layer.name} ({ADAPTER_METADATA})"
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
    said = _first(adapter.ranks.find(layer.path), adapter.rank)
    if said is not None and layer.anatomy.rank is not None and said != layer.anatomy.rank:
        raise LoraFileError(
            f"contradicts itself: {ADAPTER_METADATA} says rank {said:g} for {shown(layer.name)}, "
            f"whose matrices have rank {layer.anatomy.rank}"
        )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _adapters(metadata: Mapping[str, str]) -> dict[str, Adapter]:
    """Component -> configuration; diffusers puts the component before each setting ("unet.lora_alpha")."""
    text = metadata.get(ADAPTER_METADATA)
    if text is None:
        return {}
    if len(text) > MAX_ADAPTER:
        raise LoraFileError(
            f"has {len(text):,} characters of {ADAPTER_METADATA}, more than any adapter needs"
        )
    try:
        settings = json.loads(text)
        components = {key.partition(".")[0] for key in settings}
        return {name: _adapter(settings, name) for name in components}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise LoraFileError(f"has damaged metadata: {ADAPTER_METADATA} is not a PEFT configuration") from None


def _adapter(settings: Mapping[str, Any], name: str) -> Adapter:
    def setting(key: str) -> Any:
        return settings.get(f"{name}.{key}")

    alpha = setting("lora_alpha") if setting("lora_alpha") is not None else setting("alpha")
    rank = None if setting("r") is None else float(setting("r"))
    if rank is not None and not 1 <= rank < MAX_ADAPTER:
        raise ValueError(rank)
    return Adapter(
        alpha=None if alpha is None else float(alpha),
        rank=rank,
        alphas=_pattern(setting("alpha_pattern") or {}),
        ranks=_pattern(setting("rank_pattern") or {}),
        rslora=setting("use_rslora") is True,
    )


def _pattern(entries: Mapping[str, Any]) -> _Pattern:
    exact: dict[str, tuple[int, float]] = {}
    endings: dict[str, tuple[int, float]] = {}
    for number, (key, value) in enumerate(entries.items()):
        name = key.removeprefix("^").removesuffix("$").replace("\\.", ".")
        if not name.replace(".", "").replace("_", "").replace("-", "").isalnum():
            raise LoraFileError(
                f"has the pattern {shown(key)} in {ADAPTER_METADATA}; only names of layers are read there"
            )
        (exact if key.startswith("^") else endings).setdefault(name, (number, float(value)))
    return _Pattern(exact, endings)
