"""Put LoRA after LoRA in one place of the pipeline, by copying numbers: compiled code stays valid.

PEFT gives each adapter a name and a strength, and compiled code is valid for both: another LoRA would be
compiled anew. In a seat the name stays, the rank is a power of two that zeros fill up, and the strength is a
tensor. diffusers' and PEFT's hotswap do the same, but only for what their loader reads, and their strength
is rounded to the network's format before it multiplies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import Lora
from lora_checks.diffusion.apply import injection
from lora_checks.diffusion.apply.carriers import Carrier
from lora_checks.diffusion.apply.injection import Slot

NAME = "seat"  # of the adapter, whichever LoRA it is
SMALLEST = 8  # rank of a seat; LoRAs of rank 1 to 8 have the same


def put(modules: Mapping[str, Any], carriers: Sequence[Carrier], lora: Lora, held: list[Slot]) -> list[Slot]:
    """Put a LoRA in the seat ``held``, or in a new one if it changes other modules or has another rank.

    Raises:
        GenerationError: The LoRA has layers that are no product of two matrices.
    """
    for one in carriers:
        if one.kind != "lora" or one.exact:
            raise GenerationError(
                f"{lora.path.name}: {one.path} is of kind {one.kind}, which cannot be swapped into compiled "
                "layers; gate it without --lora-compile"
            )
    filled = [_filled(one) for one in carriers]
    if held and shapes(held) == _wanted(filled):
        return _copy(held, filled, lora)
    if held:
        injection.eject(modules, held)
    return [_strengthened(slot) for slot in injection.inject(modules, NAME, filled, lora)]


def capacity(rank: int) -> int:
    """Return the rank of the seat for a LoRA, which depends on nothing but the LoRA's own."""
    return max(SMALLEST, 1 << (rank - 1).bit_length())


def _filled(carrier: Carrier) -> Carrier:
    """Fill up the rank with zeros, which add exactly nothing."""
    import torch

    a, b = carrier.parameters["lora_A"], carrier.parameters["lora_B"]
    more = capacity(len(a)) - len(a)
    if more:
        a = torch.cat([a, a.new_zeros(more, *a.shape[1:])])
        b = torch.cat([b, b.new_zeros(len(b), more, *b.shape[2:])], dim=1)
    return replace(carrier, parameters={"lora_A": a, "lora_B": b})


Shapes = dict[tuple[str, str], tuple[tuple[int, ...], ...]]  # of both matrices, by component and module


def shapes(slots: Sequence[Slot]) -> Shapes:
    """Return what compiled code depends on: where a seat is, and how large."""
    return {
        (slot.component, slot.path): tuple(tuple(weight.shape) for weight in _weights(slot)) for slot in slots
    }


def _wanted(carriers: Sequence[Carrier]) -> Shapes:
    return {
        (one.layer.component, one.path): tuple(tuple(value.shape) for value in one.parameters.values())
        for one in carriers
    }


def _weights(slot: Slot) -> tuple[Any, Any]:
    tuner = slot.tuner
    return tuner.lora_A[slot.adapter].weight, tuner.lora_B[slot.adapter].inner.weight


def _copy(held: Sequence[Slot], carriers: Sequence[Carrier], lora: Lora) -> list[Slot]:
    import torch

    by_place = {(one.layer.component, one.path): one for one in carriers}
    slots = []
    for slot in held:
        one = by_place[slot.component, slot.path]
        with torch.no_grad():
            for weight, value in zip(_weights(slot), one.parameters.values(), strict=True):
                weight.copy_(injection.cast(value, weight.dtype, weight.device, one, lora))
        slots.append(replace(slot, scaling=one.scaling, file=lora.path.name))
    return slots


def _strengthened(slot: Slot) -> Slot:
    """Let a tensor next to ``lora_B`` hold the strength; PEFT's own is 1, which changes no number."""
    tuner, adapter = slot.tuner, slot.adapter
    tuner.lora_B[adapter] = wrapped = _module(tuner.lora_B[adapter])
    tuner.scaling[adapter] = 1.0
    return replace(slot, strength=wrapped.strength)


def _module(inner: Any) -> Any:
    import torch

    class Strengthened(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """Multiplies in float32 and rounds once, as a number of Python multiplies."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = inner
            self.register_buffer("strength", torch.zeros(1, device=inner.weight.device))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.inner(x)
            found = (y * self.strength).masked_fill(self.strength == 0, 0)  # 0 times infinity is no number
            return found.to(y.dtype)  # type: ignore[no-any-return, unused-ignore]

    return Strengthened()
