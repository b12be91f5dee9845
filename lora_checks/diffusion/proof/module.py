"""Inspect one module of a pipeline and its PEFT layers, and compute its output in float64."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.quantised import weights

VALUES = 1 << 20  # numbers of the base's weight that are float64 at a time
ADDITIVE = frozenset({"lora", "loha", "lokr", "full"})  # their change does not depend on the base's weight


def tuner_layers(module: Any) -> list[Any]:
    """Return PEFT's layers in a module, including itself."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    return [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]


def holds(layer: Any, names: Collection[str]) -> list[str]:
    """Return which of the adapters ``names`` have parameters on a PEFT layer."""
    kept = {name for kind in layer.adapter_layer_names for name in getattr(layer, kind)}
    return [name for name in names if name in kept]


def strengths(layer: Any) -> dict[str, Any]:
    """Return the tensors that hold the strength of the adapters in a seat, by adapter name."""
    ups = getattr(layer, "lora_B", {}).items()
    return {name: up.strength for name, up in ups if hasattr(up, "strength")}


def acts(layer: Any, name: str) -> bool:
    """Return whether an active adapter adds anything: in a seat it may have a strength of 0."""
    strength = strengths(layer).get(name)
    return strength is None or bool(strength)


def values(module: Any) -> dict[str, Any]:
    """Return every parameter and buffer by name, including those that accelerate has offloaded."""
    found = {}
    for path, part in module.named_modules():
        kept = getattr(getattr(part, "_hf_hook", None), "weights_map", None)
        for name, value in (*part._parameters.items(), *part._buffers.items()):
            if value is not None:
                found[f"{path}.{name}".lstrip(".")] = kept[name] if kept and value.is_meta else value.detach()
    return found


def adapter_values(module: Any, names: Collection[str]) -> list[Any]:
    """Return the parameters of the adapters ``names`` on a module."""
    return [value for key, value in values(module).items() if not set(names).isdisjoint(key.split("."))]


def is_finite(value: Any) -> bool:
    """Return whether all values are finite, checked in pieces to save memory."""
    return all(bool(piece.isfinite().all()) for piece in value.flatten().split(1 << 20))


def dtype_of(module: Any, names: Collection[str]) -> Any:
    """The coarsest dtype that the adapter acts in: on a float32 base, and with magnitudes, it is float32."""
    import torch

    if weights.dtype(module.get_base_layer()) == torch.float32 or _magnitudes(module, names):
        return torch.float32
    return max(
        (value.dtype for value in adapter_values(module, names)), key=lambda kind: torch.finfo(kind).eps
    )


def contribution(module: Any, names: Collection[str], x: Any) -> tuple[Any, Any]:
    """(output with - output without, output without) for ``x``, float64 on the CPU.

    The module's own code runs on its own parameters, which are float64 for these two calls: in float32 a
    difference of outputs is no better than 1e-7 of them, and an effect may be 1e-4 of them. No other
    adapter acts. The base's weight may be gigabytes, so that it is made float64 some rows at a time, and
    only where the effect depends on it: its output is taken out of both sides otherwise.
    """
    import torch

    of_base = bool(_magnitudes(module, names))
    held = {key: value for key, value in values(module).items() if not _is_base(key)}
    whole = {key for key in held if key.rpartition(".")[0].endswith("lokr_w2")}  # made float64 in pieces, too
    device = x.device if not held else next(iter(held.values())).device
    device = torch.device("cpu") if device.type == "mps" else device  # has no float64
    double = {
        key: value.to(
            device, torch.float64 if value.is_floating_point() and key not in whole else value.dtype
        )
        for key, value in held.items()
    }
    outputs = []
    for active in (names, ()):
        with only(module, active), unhooked(module), _in_float64(module, of_base):
            outputs.append(torch.func.functional_call(module, double, (x.to(device),)).cpu())
    on, off = outputs
    return on - off, off


def _is_base(key: str) -> bool:
    """Return the base's own weight and bias, below all of PEFT's layers."""
    return key.replace("base_layer.", "") in ("weight", "bias")


def _magnitudes(module: Any, names: Collection[str]) -> list[str]:
    """Return the parameters of the adapters whose effect depends on the base's weight."""
    signs = ("magnitude", "factor")
    return [
        key for key in values(module) if set(names) & set(key.split(".")) and any(s in key for s in signs)
    ]


@contextmanager
def _in_float64(module: Any, of_base: bool) -> Iterator[None]:
    """The base's layer gives what its weight gives in float64, or zeros in that shape."""
    base = module.get_base_layer()
    weight = base_value(module) if of_base else None
    bias = values(base).get("bias")

    def forward(x: Any, *_: Any, **__: Any) -> Any:
        output = output_like(base, x)
        if weight is not None:
            step = max(1, VALUES // weight[0].numel())
            for begin in range(0, len(weight), step):
                some = weight[begin : begin + step].to(x.device, x.dtype)
                found = operate(base, some, x)
                output.narrow(channels(found), begin, len(some)).copy_(found)
            if bias is not None:
                output = output + beside(bias.to(x.device, x.dtype), output)
        return output

    had = vars(base).get("forward")
    base.forward = forward
    try:
        yield
    finally:
        if had is None:
            del base.forward
        else:
            base.forward = had


def output_like(base: Any, x: Any) -> Any:
    """Return zeros in the shape of the base layer's output for ``x``."""
    rows, _, *kernel = weights.shape(base)
    if not kernel:
        return x.new_zeros(*x.shape[:-1], rows)
    place = operate(base, x.new_zeros(1, 1, *kernel), x[:, :1])
    return x.new_zeros(len(x), rows, *place.shape[2:])


def channels(output: Any) -> int:
    """Return the channel axis of an output."""
    return 1 if output.ndim > 3 else int(output.ndim) - 1


def beside(bias: Any, output: Any) -> Any:
    """Reshape one number per channel so that it multiplies an output."""
    return bias.reshape(-1, *(1,) * (output.ndim - 2)) if output.ndim > 3 else bias


@contextmanager
def only(module: Any, names: Collection[str]) -> Iterator[None]:
    """Deactivate all other adapters on the module, and restore them afterwards."""
    layers = tuner_layers(module)
    before = [layer._active_adapter for layer in layers]
    for layer in layers:
        layer._active_adapter = [name for name in layer.active_adapters if name in names]
    try:
        yield
    finally:
        for layer, active in zip(layers, before, strict=True):
            layer._active_adapter = active


@contextmanager
def unhooked(module: Any) -> Iterator[None]:
    """Suspend hooks of accelerate and diffusers: they would undo the weights that `contribution` replaced."""
    with ExitStack() as stack:
        for part in module.modules():
            forward = _without_hooks(part)
            if forward is not None and "forward" in vars(part):
                stack.callback(setattr, part, "forward", part.forward)
                part.forward = forward
        yield


def _without_hooks(part: Any) -> Any:
    """Return a module's own forward pass, below all hooks; None if it has none."""
    if "_old_forward" in vars(part):
        return part._old_forward
    hooks = getattr(vars(part).get("_diffusers_hook"), "_fn_refs", None)
    return hooks[0].original_forward or hooks[0].forward if hooks else None


def operate(base: Any, weight: Any, x: Any) -> Any:
    """Apply the base's module to ``x`` with these rows as its weight and without a bias."""
    from torch.nn import functional

    if weight.ndim == 2:
        return functional.linear(x, weight)
    convolve = functional.conv2d if weight.ndim == 4 else functional.conv3d
    return convolve(x, weight, None, base.stride, base.padding, base.dilation, base.groups)


def base_weight(layer: LoraLayer, modules: Sequence[Any]) -> Any:
    """Return the base's weight on the CPU: the rows of all modules in the file's order."""
    import torch

    shapes = [weights.shape(module.get_base_layer()) for module in modules]
    if layer.algorithm in ADDITIVE:  # only its shape matters, and it takes no memory
        return torch.zeros(()).expand(sum(shape[0] for shape in shapes), *shapes[0][1:])
    each = [base_value(module).to("cpu") for module in modules]
    weight = each[0] if len(each) == 1 else torch.cat(each)
    return torch.cat(weight.chunk(2)[::-1]) if layer.swapped else weight


def base_value(module: Any) -> Any:
    """Return the weight below all of PEFT's layers; a quantised one as the numbers that it stands for."""
    base = module.get_base_layer()
    if weights.format_of(base):
        return weights.value(base)
    return next(value for key, value in values(module).items() if key.replace("base_layer.", "") == "weight")
