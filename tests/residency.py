"""Which weights are on a device by diffusers' group offloading, on a machine that has none.

What runs is diffusers' own code; nothing moves, and every move is noted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from diffusers.hooks import group_offloading as offloading
from diffusers.hooks.group_offloading import ModuleGroup

from lora_checks.diffusion.base import groups


class Resident:
    """Which weights are on the device by diffusers' hooks, the most of them, and layers that ran without."""

    def __init__(self) -> None:
        self.there: set[Any] = set()
        self.most = 0
        self.missed: list[str] = []

    def watch(self, network: Any) -> None:
        """Note each layer of a network that computes while its weights are away."""
        for path, module in network.named_modules():
            own = set(module.parameters(recurse=False))
            if own and not list(groups._of_hooks(module)):  # these bring them themselves, a moment later

                def see(_module: Any, _args: Any, path: str = path, own: set[Any] = own) -> None:
                    self.missed += [] if own <= self.there else [path]

                module.register_forward_pre_hook(see)


def weights_of(group: Any) -> set[Any]:
    return {*group.parameters, *(weight for module in group.modules for weight in module.parameters())}


@contextmanager
def resident() -> Iterator[Resident]:
    seen = Resident()
    onload, offload = ModuleGroup.onload_, ModuleGroup.offload_

    def come(group: Any) -> None:
        onload(group)
        seen.there |= weights_of(group)
        seen.most = max(seen.most, sum(weight.nbytes for weight in seen.there))

    def go(group: Any) -> None:
        offload(group)
        seen.there -= weights_of(group)

    with patch.object(ModuleGroup, "onload_", come), patch.object(ModuleGroup, "offload_", go):
        yield seen


class Stream:
    """A stream whose copies arrive when they are waited for, and not before."""

    def __init__(self) -> None:
        self.coming: set[Any] = set()

    def synchronize(self) -> None:
        STREAMED.there |= self.coming
        self.coming.clear()


class Backend:
    """CUDA's streams for diffusers' hooks, on a machine that has none."""

    def __init__(self, _device: Any) -> None:
        pass

    Stream = Stream

    def current_stream(self) -> Stream:
        return Stream()

    def stream(self, stream: Any) -> Any:
        return nullcontext(stream)


STREAMED = Resident()


@contextmanager
def streams() -> Iterator[Resident]:
    """Have hooks use streams; weights that are on their way are not there yet."""
    STREAMED.__init__()  # type: ignore[misc]
    onload, offload = ModuleGroup.onload_, ModuleGroup.offload_
    apply = offloading.apply_group_offloading

    def come(group: Any) -> None:
        onload(group)
        late = group.stream is not None and group.non_blocking
        (group.stream.coming if late else STREAMED.there).update(weights_of(group))
        on = STREAMED.there | (group.stream.coming if late else set())
        STREAMED.most = max(STREAMED.most, sum(weight.nbytes for weight in on))

    def go(group: Any) -> None:
        offload(group)
        STREAMED.there -= weights_of(group)

    def applied(module: Any, **settings: Any) -> None:
        apply(module, **settings | {"use_stream": True, "onload_device": torch.device("mps")})
        for part in module.modules():
            for hook in getattr(vars(part).get("_diffusers_hook"), "hooks", {}).values():
                if hasattr(hook, "config"):
                    hook.config.onload_device = torch.device("cpu")

    with (
        patch.object(ModuleGroup, "onload_", come),
        patch.object(ModuleGroup, "offload_", go),
        patch.object(ModuleGroup, "_transfer_tensor_to_device", lambda *_: None),
        patch.object(offloading, "TorchDeviceBackend", Backend),
        patch.object(offloading, "send_to_device", lambda value, *_, **__: value),
        patch.object(torch.Tensor, "pin_memory", lambda tensor: tensor),
        patch.object(torch.Tensor, "is_pinned", lambda _: True),
        patch("diffusers.hooks.apply_group_offloading", applied),
    ):
        yield STREAMED
