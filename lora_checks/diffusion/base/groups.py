"""Bring the blocks of large networks to an accelerator one after another, by diffusers' group offloading.

diffusers finds blocks in the lists that a module holds itself; T5 and Qwen hold theirs further down, and a
VAE is not called through its forward pass. So each network is taken apart here, and diffusers' hooks are put
on modules that they suit. Networks that no LoRA changes, the VAE above all, stay on the device.

Layers that are added later have no place in a group: take the hooks off, add them, and put the hooks on.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

from lora_checks.diffusion.apply.networks import may_be_adapted

_STREAMED = "_lora_checks_streamed"  # attribute of the pipeline: the networks that have hooks
AHEAD = 2  # blocks of one module that are on the device: the one that computes, and the next


class _Whole(Exception):
    """A network has weights between its lists of blocks, which belong to no module that is called."""


def attach(pipe: Any, device: str) -> None:
    """Put networks that a LoRA can change under hooks, and all others on the device."""
    hooks: Any = importlib.import_module("diffusers.hooks")
    streamed = vars(pipe).setdefault(_STREAMED, [])
    for name, network in _networks(pipe):
        parts = roots(network) if may_be_adapted(name) else []
        if not parts:
            network.to(device)
            continue
        streamed.append(network)
        for part in parts:
            hooks.apply_group_offloading(
                part,
                onload_device=device,
                offload_device="cpu",
                offload_type="block_level",
                num_blocks_per_group=1,
                use_stream=device.startswith("cuda"),
            )


def detach(pipe: Any) -> None:
    """Take the hooks off; all weights are in main memory then."""
    offloading: Any = importlib.import_module("diffusers.hooks.group_offloading")
    go_home(pipe)
    for network in vars(pipe).pop(_STREAMED, ()):
        for module in network.modules():
            if registry := vars(module).get("_diffusers_hook"):
                for name in (
                    offloading._GROUP_OFFLOADING,
                    offloading._LAYER_EXECUTION_TRACKER,
                    offloading._LAZY_PREFETCH_GROUP_OFFLOADING,
                ):
                    registry.remove_hook(name, recurse=False)


def go_home(pipe: Any) -> None:
    """Send every group to main memory: a call that broke off left its last ones on the device."""
    for network in vars(pipe).get(_STREAMED, ()):
        for group in {id(group): group for group in _groups(network)}.values():
            group.offload_()


def forget(module: Any) -> None:
    """Release the copies of weights that the hooks of a module hold."""
    for group in _of_hooks(module):
        group.cpu_param_dict.clear()


def roots(network: Any) -> list[Any]:
    """Return the modules of a network that diffusers' hooks suit; none if it cannot be taken apart.

    A module with a list of blocks has hooks for each block, and for all else in it together; one without is
    there as a whole while it computes.
    """
    try:
        return list(_roots(network))
    except _Whole:
        return []


def share(network: Any) -> float:
    """Return the most of a network's weights that is on the device at once, of all of them."""
    parts = roots(network)
    total = _size(network)
    if not parts or not total:
        return 1.0
    return min(1.0, max(map(_held, parts)) / total)


def _roots(module: Any) -> Iterator[Any]:
    children = [child for _, child in module.named_children()]
    lists = [child for child in children if _is_list(child)]
    if not any(map(_is_list, module.modules())):
        if _size(module) or any(True for _ in module.buffers()):
            yield module
        return
    plain = any(_is_called(block) for listed in lists for block in listed)
    own = any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False)))
    # Without a group for what is beside the blocks, diffusers' hooks do not wait for what comes by a stream.
    if lists and plain and (own or len(lists) < len(children)) and not _has_levels(lists):
        if not all(_is_called(block) for listed in lists for block in listed):
            raise _Whole
        yield from filter(_is_embedding, children)
        yield module
        return
    if own:
        raise _Whole
    for child in children:
        yield from _roots(child)


def _is_list(module: Any) -> bool:
    import torch

    return isinstance(module, torch.nn.ModuleList | torch.nn.Sequential) and len(module) > 0


def _has_levels(lists: Sequence[Any]) -> bool:
    """Return whether blocks are the levels of a UNet, of which one may be half of all."""
    return any(hasattr(block, "resnets") for listed in lists for block in listed)


def _is_embedding(module: Any) -> bool:
    """Return whether a module may be called before the one that it is in: vision models read tokens so."""
    import torch

    return isinstance(module, torch.nn.Embedding)


def _is_called(module: Any) -> bool:
    import torch

    return not isinstance(module, torch.nn.ModuleList | torch.nn.ModuleDict)


def _held(root: Any) -> int:
    """Return the bytes of a root that are on the device at once."""
    lists = [child for _, child in root.named_children() if _is_list(child)]
    blocks = sorted((_size(block) for listed in lists for block in listed), reverse=True)
    return _size(root) - sum(blocks) + sum(blocks[:AHEAD])


def _size(module: Any) -> int:
    return sum(weight.nbytes for weight in module.parameters())


def _networks(pipe: Any) -> Iterator[tuple[str, Any]]:
    import torch

    return ((n, part) for n, part in pipe.components.items() if isinstance(part, torch.nn.Module))


def _groups(network: Any) -> Iterator[Any]:
    for module in network.modules():
        yield from _of_hooks(module)


def _of_hooks(module: Any) -> Iterator[Any]:
    registry = vars(module).get("_diffusers_hook")
    for hook in registry.hooks.values() if registry else ():
        if hasattr(hook, "group"):
            yield hook.group
