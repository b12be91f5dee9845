"""Describe a LoRA in words, for verdicts and reports."""

from __future__ import annotations

from lora_checks.core.records import Lora
from lora_checks.core.words import count

ALGORITHMS = {
    "lora": "LoRA",
    "dora": "DoRA",
    "loha": "LoHa",
    "lokr": "LoKr",
    "doha": "LoHa with magnitudes",
    "dokr": "LoKr with magnitudes",
    "full": "full difference",
}
_MAX_RANKS = 4


def described(lora: Lora) -> str:
    """Describe a LoRA: "diffusers, rank 4, 106 unet layers", "kohya LoHa, rank 4 to 64, 1 unet layer"."""
    algorithms = " and ".join(ALGORITHMS.get(name, name) for name in lora.algorithms)
    kind = lora.kind if lora.algorithms in ((), ("lora",)) else f"{lora.kind} {algorithms}"
    layers = [count(layers, f"{name} layer") for name, layers in lora.components.items()]
    return ", ".join([kind, *_ranks(lora), *layers])


def _ranks(lora: Lora) -> list[str]:
    if len(lora.ranks) > _MAX_RANKS:
        return [f"rank {lora.ranks[0]} to {lora.ranks[-1]}"]
    return ["rank " + "/".join(map(str, lora.ranks))] if lora.ranks else []
