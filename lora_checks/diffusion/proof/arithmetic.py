"""Hold a quantised layer's own arithmetic against its dequantised weight.

`module.contribution` computes what a LoRA adds in float64, with the dequantised weight where it matters. That
this weight is the one that runs, and that the LoRA arrives in what the layer's kernel gives, is seen in the
run's own pass through the network: what came into the layer, out of the base's layer, and out of PEFT's.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from lora_checks.diffusion.proof.module import base_value, tuner_layers, values
from lora_checks.diffusion.quantised import formats, rounding, weights


@dataclass
class Pass:
    """Rows of one pass through a quantised layer, in float64 on the CPU."""

    x: Any = None  # (rows, in)
    base: Any = None  # (rows, out): of the base's layer
    out: Any = None  # (rows, out): with what PEFT adds
    device: str = "cpu"
    handles: list[Any] = field(default_factory=list)


def watched(module: Any, pick: Any) -> Pass:
    """Watch a PEFT layer around a quantised one until `unwatch`.

    Args:
        module: PEFT's layer.
        pick: A function from a tensor to some of its rows, the same for inputs and outputs.
    """
    seen = Pass()

    def at_base(base: Any, args: tuple[Any, ...], output: Any) -> None:
        if seen.base is None:
            seen.x, seen.base, seen.device = pick(args[0]), pick(output), base.weight.device.type

    def at_end(_module: Any, _args: Any, output: Any) -> None:
        if seen.out is None:
            seen.out = pick(output)

    seen.handles = [
        module.get_base_layer().register_forward_hook(at_base),
        module.register_forward_hook(at_end),
    ]
    return seen


def unwatch(seen: Pass) -> None:
    """Take the hooks off again."""
    while seen.handles:
        seen.handles.pop().remove()


def complaint(module: Any, seen: Pass, names: Collection[str], wanted: Any, tolerance: float) -> str:
    """Return what is wrong with a quantised layer's pass; "" if nothing is.

    Args:
        module: PEFT's layer.
        seen: Its pass.
        names: The adapters of the LoRA.
        wanted: What the LoRA adds to ``seen.x``, (rows, out) in float64.
        tolerance: Of what the LoRA adds, in the number format that it acts in.
    """
    base = module.get_base_layer()
    format = weights.format_of(base)
    weight = base_value(module).cpu().double()
    exact = seen.x @ weight.T
    bias = values(base).get("bias")
    if bias is not None:
        exact = exact + bias.cpu().double()
    # What cancels out in a sum leaves its rounding behind.
    size = float(seen.base.norm()) + float(weight.norm() * seen.x.norm()) / weight.shape[1] ** 0.5
    unit = rounding.unit(_computes_in(base, format, seen.device))
    allowed = (unit + rounding.of_inputs(_inputs(format, seen.device), seen.x)) * size
    distance = float((seen.base - exact).norm())
    if not distance <= allowed:  # also refuses NaN
        return (
            f"is {format} on the base, and its output is {100 * distance / size:.2g} % away from that of its "
            f"dequantised weight, where {100 * allowed / size:.2g} % is rounding: the library does not "
            "compute with the weight that it gives; take another format or another version of it"
        )
    if _alone(module, names):
        # What a magnitude adds is a multiple of the base's output, with that output's rounding.
        times = max(1.0, float(wanted.norm()) / size)
        apart = float((seen.out - seen.base - wanted).norm())
        if not apart <= tolerance * float(wanted.norm()) + allowed * times:
            return "is applied, but does not arrive in the output of the quantised layer as it should"
    return ""


def _alone(module: Any, names: Collection[str]) -> bool:
    """Return whether no other adapter acts on the layer."""
    return all(set(layer.active_adapters) <= set(names) for layer in tuner_layers(module))


def _computes_in(base: Any, format: str, device: str) -> Any:
    """Return the number format of a layer's arithmetic where it ran."""
    import torch

    if device == "cpu" and format in ("bitsandbytes nf4", "bitsandbytes fp4"):
        return torch.bfloat16  # in its kernel for AVX-512, whatever the layer is told
    return weights.dtype(base)


def _inputs(format: str, device: str) -> formats.Inputs:
    """Return what the inputs of a layer are rounded to where it ran."""
    library, _, name = format.partition(" ")
    if library == formats.GGUF:
        return "int8" if device == "cuda" and _ggml() else ""
    if library == "bitsandbytes" and device == "cpu":  # dequantises and multiplies there
        return ""
    return formats.LIBRARIES[library].formats[name].inputs


def _ggml() -> bool:
    """Return whether diffusers computes with ggml's kernels, which round the inputs."""
    utils: Any = importlib.import_module("diffusers.quantizers.gguf.utils")
    return getattr(utils, "ops", None) is not None
