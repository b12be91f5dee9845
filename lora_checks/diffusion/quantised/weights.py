"""Read the weight of a base's layer, quantised or plain: its shape, its values, and what it computes in.

Each library keeps a quantised weight in its own way; nothing here imports one that the layer is not of.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from typing import Any

from lora_checks.diffusion.quantised.formats import CASTING, GGUF

CAST = f"{CASTING} fp8"  # by hooks of diffusers, in layers of torch
# Attributes of a quantised layer, set when it is loaded.
_DTYPE = "_lora_checks_dtype"  # the number format of its inputs and outputs
_LIBRARY = "_lora_checks_library"  # of a network: what quantised it
_FORMAT = "_lora_checks_format"  # "torchao int8dq", which its weight alone does not tell from int8wo


def format_of(module: Any) -> str:
    """Return how a layer's weight is quantised: "GGUF Q4_K", "bitsandbytes nf4"; "" if it is plain."""
    told: str | None = vars(module).get(_FORMAT)
    if told is not None:
        return told
    weight = module.weight
    kind = type(weight)
    if kind.__name__ == "GGUFParameter":
        return f"GGUF {weight.quant_type.name}"
    if kind.__name__ == "Params4bit":
        return f"bitsandbytes {weight.quant_type}"
    if kind.__name__ == "Int8Params":
        return "bitsandbytes int8"
    for library, package in (("torchao", "torchao."), ("quanto", "optimum.quanto.")):
        if kind.__module__.startswith(package):
            return f"{library} {kind.__name__}"
    return CAST if str(getattr(weight, "dtype", "")) == "torch.float8_e4m3fn" else ""


def shape(module: Any) -> tuple[int, ...]:
    """Return the shape of a layer's weight as a plain one would have it."""
    if type(module.weight).__name__ == "GGUFParameter":
        return tuple(module.weight.quant_shape)
    if format_of(module) not in ("", CAST):
        return (module.out_features, module.in_features)
    return tuple(module.weight.shape)


def dtype(module: Any) -> Any:
    """Return the number format that a layer computes in, which a LoRA on it computes in, too."""
    if not format_of(module):
        return module.weight.dtype
    told = getattr(module, _DTYPE, None) or getattr(module, "compute_dtype", None)
    if told is not None:
        return told
    if module.weight.dtype.is_floating_point:
        return module.weight.dtype
    raise ValueError(f"{type(module).__name__} does not say what it computes in; call tell")


def tell(network: Any, dtype: Any, library: str, format: str) -> None:
    """Note on the quantised layers of a network what they compute in, and their format.

    Args:
        network: The network.
        dtype: The number format of the run.
        library: That quantised it; layers of a .gguf file have each a type of their own.
        format: Of the library's.
    """
    setattr(network, _LIBRARY, library)
    for module in weighted(network):
        if format_of(module):
            setattr(module, _DTYPE, dtype)
            if library != GGUF:
                setattr(module, _FORMAT, f"{library} {format}")


def without_gradients(pipe: Any) -> Any:
    """Return a context without gradients for a pipeline; values are the same in both that torch has.

    optimum-quanto's 4-bit layers are functions of autograd, which torch's inference mode refuses. What moves
    there, by the hooks of an offload, is a tensor of inference for ever, beside which PEFT adds no layer.
    """
    import torch

    parts = list(getattr(pipe, "components", {}).values())
    of_quanto = any(getattr(part, _LIBRARY, "") == "quanto" for part in parts)
    networks = (part for part in parts if isinstance(part, torch.nn.Module))
    hooked = any(_is_hooked(module) for part in networks for module in part.modules())
    return torch.no_grad() if of_quanto or hooked else torch.inference_mode()


def _is_hooked(module: Any) -> bool:
    """Return whether accelerate or diffusers has hooks on a module; a registry without any moves nothing."""
    registry = vars(module).get("_diffusers_hook")
    return "_hf_hook" in vars(module) or bool(getattr(registry, "hooks", None))


def weighted(network: Any) -> Iterator[Any]:
    """Yield the modules of a network that have a weight."""
    return (module for module in network.modules() if getattr(module, "weight", None) is not None)


def value(module: Any) -> Any:
    """Return a layer's weight, dequantised in the finest format that its library gives; a plain one as it is.

    It is as large as the plain weight: ask for one layer at a time.
    """
    weight = module.weight.detach()
    found = format_of(module)
    if not found:
        return weight
    if found == CAST:
        return weight.to(dtype(module))
    if found.startswith("GGUF"):
        utils: Any = importlib.import_module("diffusers.quantizers.gguf.utils")
        return utils.dequantize_gguf_tensor(module.weight).detach()
    if found == "bitsandbytes int8":
        return _of_int8(module)
    if found.startswith("bitsandbytes"):
        return _of_4bit(module)
    return weight.dequantize()


def _of_4bit(module: Any) -> Any:
    """Dequantise by bitsandbytes, which packs a weight anew when it first computes on a CPU."""
    functional: Any = importlib.import_module("bitsandbytes.functional")
    packed, state = module.weight.data, module.weight.quant_state
    if getattr(state, "packing_format_for_cpu", False):
        packed, state = functional._convert_weight_packed_for_cpu_inverse(packed, copy.deepcopy(state))
    return functional.dequantize_4bit(packed, state).detach()


def _of_int8(module: Any) -> Any:
    """Return rows times their largest number / 127 (Dettmers et al., arXiv 2208.07339, section 2.1)."""
    import torch

    scale = module.state.SCB if module.state.SCB is not None else module.weight.SCB
    stored = module.state.CB if module.state.CB is not None else module.weight.data
    return stored.to(torch.float32) * (scale.to(torch.float32) / 127).reshape(-1, 1)


def stand_in(module: Any) -> Any:
    """Return zeros of the weight's shape, on its device, which take no memory."""
    import torch

    return torch.zeros((), dtype=dtype(module), device=module.weight.device).expand(shape(module))
