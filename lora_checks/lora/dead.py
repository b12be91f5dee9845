"""Find dead layers: those whose values in the file make them add nothing.

A product is zero if one of its factors is. A layer with magnitudes (DoRA) never counts as dead: whether they
differ from the norms of the base's weight can only be seen with the base.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.algorithms import LABELS
from lora_checks.lora.layers import Layer

_FACTORS = (
    "down", "mid", "up",
    "hada_w1_a", "hada_w1_b", "hada_t1", "hada_w2_a", "hada_w2_b", "hada_t2",
    "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2",
)  # fmt: skip
# Factors that are zero before training: sd-scripts and PEFT (lora_B), LyCORIS and PEFT (LoHa, LoKr).
_AT_START = ("up", "hada_w2_a", "hada_w2_b", "lokr_w1", "lokr_w2", "lokr_w2_b")


def is_dead(layer: Layer, alive: Collection[str]) -> bool:
    """Return whether a layer adds nothing; ``alive``: names of the tensors with a value other than 0."""
    parts = {part: tensor.name for part, tensor in layer.parts.items()}
    if "dora_scale" in parts or "magnitude" in parts:
        return False
    if any(name in alive for part, name in parts.items() if part in ("bias", "diff", "diff_b")):
        return False
    factors = [name for part, name in parts.items() if part in _FACTORS]
    return not factors or any(name not in alive for name in factors)


def check_not_all_dead(layers: Sequence[Layer], dead: Collection[str], alive: Collection[str]) -> None:
    """Raise `LoraFileError` with the likeliest reason if every layer of the file is dead."""
    if len(dead) < len(layers):
        return
    zero = [
        {part for part, tensor in layer.parts.items() if part in _FACTORS and tensor.name not in alive}
        for layer in layers
    ]
    start = [part for part in _AT_START if any(part in parts for parts in zero)]
    if all(parts.intersection(_AT_START) for parts in zero):
        what = " and ".join(LABELS.get(part, part) for part in start)
        raise LoraFileError(f"was never trained: every {what} matrix is zero, so the LoRA changes nothing")
    every = {part for layer in layers for part in layer.parts if part in _FACTORS}
    pair = "lora_A (down) or lora_B (up)" if every <= {"down", "up"} else "a factor"
    raise LoraFileError(f"changes nothing: in every layer {pair} is zero")
