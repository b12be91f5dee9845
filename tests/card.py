"""A card with little memory, on a machine without one: ``cpu:1``, which torch computes on as on the CPU.

What moves there is counted, weight by weight, and a weight too many raises as CUDA does, midway. Weights
on the card say that they are, so that accelerate's own hooks move them to and fro; diffusers' do, too.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from diffusers.hooks.group_offloading import ModuleGroup

from lora_checks.diffusion.base import room

DEVICE = "cpu:1"


class _There(torch.nn.Parameter):
    """A weight that is on the card."""

    @property
    def device(self) -> torch.device:
        return torch.device(DEVICE)


class Card:
    """The weights on the card, and how many bytes of them it holds."""

    def __init__(self, room: float) -> None:
        self.room, self.most = room, 0
        self.trips: list[tuple[str, str]] = []  # of whole networks that really moved: its class, the place
        self.networks: set[int] = set()  # whole networks that are there, by identity
        self.beside = 0  # the most of them that were there together
        self._weights: dict[int, Any] = {}  # weak references by identity: a weight equals no other
        self._to = torch.nn.Module.to

    @property
    def held(self) -> int:
        """Return the bytes of the weights on the card, whoever holds them."""
        weights = (reference() for reference in self._weights.values())
        return sum(weight.data.nbytes for weight in weights if type(weight) is _There)

    def move(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Do as `torch.nn.Module.to`."""
        where = next((a for a in (*args, *kwargs.values()) if isinstance(a, str | torch.device)), None)
        if where is None or torch.device(where).type == "meta":
            return self._to(module, *args, **kwargs)
        others = [a for a in args if isinstance(a, torch.dtype)]
        if others:
            self._to(module, *others)
        if hasattr(module, "config"):
            self._enter(module, str(where))
        for weight in module.parameters():
            self._move_one(weight, torch.device(where))
        return module

    def _enter(self, module: Any, where: str) -> None:
        if (where == DEVICE) == (id(module) in self.networks):
            return
        self.trips.append((type(module).__name__, where))
        self.networks ^= {id(module)}
        self.beside = max(self.beside, len(self.networks))

    def _move_one(self, weight: Any, where: torch.device) -> None:
        if where != torch.device(DEVICE):
            weight.__class__ = torch.nn.Parameter
        elif type(weight) is not _There:
            if self.held + weight.nbytes > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            weight.__class__ = _There
            self._weights[id(weight)] = weakref.ref(weight)
            self.most = max(self.most, self.held)


@contextmanager
def card(size: float) -> Iterator[Card]:
    """Put a card of ``size`` bytes into this machine."""
    there = Card(size)

    def ask(device: str) -> tuple[int, int] | None:
        return (int(there.room - there.held), int(there.room)) if device == DEVICE else None

    def to(module: Any, *args: Any, **kwargs: Any) -> Any:
        return there.move(module, *args, **kwargs)

    def onload(group: Any, tensor: Any, _source: Any, _stream: Any) -> None:
        if isinstance(tensor, torch.nn.Parameter):
            there._move_one(tensor, group.onload_device)

    def offload(group: ModuleGroup) -> None:
        leave(group)
        for weight in group.parameters:
            there._move_one(weight, group.offload_device)

    leave = ModuleGroup._offload_to_memory
    with (
        patch.object(torch.nn.Module, "to", to),
        patch.object(ModuleGroup, "_transfer_tensor_to_device", onload),
        patch.object(ModuleGroup, "_offload_to_memory", offload),
        patch.object(room, "device_room", ask),
    ):
        yield there


def size_of(pipe: Any) -> dict[str, int]:
    """Return the bytes of each network's weights."""
    networks = {name: part for name, part in pipe.components.items() if isinstance(part, torch.nn.Module)}
    return {name: sum(w.nbytes for w in part.parameters()) for name, part in networks.items()}
