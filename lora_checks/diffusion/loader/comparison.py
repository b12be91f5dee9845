"""Compare a layer that another loader put on a base with what its file states.

Both changes are applied to the same random vector: in a few multiplications of rank x (rows + columns) they
are equal, or one is a multiple of the other, or neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.apply.networks import core
from lora_checks.diffusion.apply.placement import Placed
from lora_checks.diffusion.proof import formulas

TOLERANCE = 1e-2  # loaders multiply alphas into matrices of 16 bits
_MAGNITUDES = {"dora_scale", "magnitude"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A layer as a loader put it on the base, beside the file's."""

    tuners: tuple[Any, ...]  # PEFT's layers that hold its numbers, in the order of its rows
    ratio: float  # its strength in multiples of the file's
    changed: bool  # no multiple explains its numbers
    plain: bool  # the file has magnitudes, and it has none

    @property
    def other(self) -> bool:
        """Whether it is loaded at another strength."""
        return not self.changed and abs(self.ratio - 1) > TOLERANCE


def loaded(placed: Placed, tensors: Mapping[str, Any], network: Any, adapter: str) -> Loaded | None:
    """Find and compare what a loader made of a layer; None unless all of it has numbers.

    Args:
        placed: The layer and its modules.
        tensors: The file's tensors, by name.
        network: The network with PEFT's layers of the loader.
        adapter: PEFT's name of its adapter.
    """
    found = [_compared(placed, tensors, tuners, adapter) for tuners in _homes(placed, network, adapter)]
    return min(found, key=lambda layer: layer.changed, default=None)


def _homes(placed: Placed, network: Any, adapter: str) -> list[list[Any]]:
    """Return where a layer's numbers may be: on its modules or, fused by the loader, on one beside."""
    tuners = [network.get_submodule(path) for path in placed.paths]
    if all(has_numbers(tuner, adapter) for tuner in tuners):
        return [tuners]
    parents = {path.rpartition(".")[0] for path in placed.paths}
    if len(tuners) == 1 or len(parents) > 1:
        return []
    beside = network.get_submodule(parents.pop()).children()
    fused = [each for each in beside if each not in tuners and has_numbers(each, adapter)]
    return [[each] for each in fused if len(core(each).weight) == sum(placed.rows)]


def _compared(placed: Placed, tensors: Mapping[str, Any], tuners: list[Any], adapter: str) -> Loaded:
    import torch

    shape = core(tuners[0]).weight.shape
    vector = torch.randn(shape[1:].numel(), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    stated = _of_file(placed, tensors, torch.zeros(()).expand(sum(placed.rows), *shape[1:]), vector)
    theirs = torch.cat([_of_tuner(tuner, adapter, vector) for tuner in tuners])
    biased = [part for part in ("bias", "diff_b") if part in placed.layer.parts]
    if biased or any(_bias(tuner, adapter) is not None for tuner in tuners):
        stated = torch.cat([stated, _file_bias(placed, tensors)])
        theirs = torch.cat([theirs, *(_tuner_bias(tuner, adapter) for tuner in tuners)])
    ratio, changed = _ratio(theirs, stated)
    magnitudes = bool(_MAGNITUDES & placed.layer.parts.keys())
    held = [adapter in getattr(tuner, "lora_magnitude_vector", ()) for tuner in tuners]
    plain = magnitudes and not all(held)
    return Loaded(tuple(tuners), ratio, changed or (any(held) and not magnitudes), plain)


def has_numbers(module: Any, adapter: str) -> bool:
    """Return whether a module has the adapter, with every parameter read from the file."""
    held = [
        getattr(module, name)[adapter]
        for name in getattr(module, "adapter_layer_names", ())
        if adapter in getattr(module, name, ())
    ]
    weights = [weight for each in held for weight in (each.parameters() if _is_module(each) else [each])]
    return bool(weights) and not any(weight.is_meta for weight in weights)


def _is_module(value: Any) -> bool:
    return hasattr(value, "parameters")


def _ratio(theirs: Any, stated: Any) -> tuple[float, bool]:
    """Return the multiple of ``stated`` that is nearest to ``theirs``, and whether it is not near."""
    size = float(stated @ stated)
    if size == 0:
        return 1.0, bool(theirs.abs().max() > 0)
    ratio = float(theirs @ stated) / size
    rest = float((theirs - ratio * stated).norm())
    return ratio, rest > TOLERANCE * max(float(theirs.norm()), float(stated.norm()))


def _of_file(placed: Placed, tensors: Mapping[str, Any], weight: Any, vector: Any) -> Any:
    """Return the effect of the file's layer on a vector, in the order of the base's rows."""
    import torch

    parts = {part: name for part, name in placed.layer.parts.items() if part not in _MAGNITUDES}
    layer = replace(placed.layer, parts=parts)
    effect = _file_effect(layer, tensors, weight, vector)
    return torch.cat(effect.chunk(2)[::-1]) if layer.swapped else effect


def _file_effect(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any, vector: Any) -> Any:
    import torch

    factors = formulas.factors(layer, tensors, weight)
    if factors is not None and factors.core is None:
        return layer.scaling * (factors.up @ (factors.down.flatten(1) @ vector))
    if factors is not None:
        through = factors.down @ vector.reshape(factors.down.shape[1], -1)
        return layer.scaling * (factors.up @ (factors.core.flatten(1) @ through.flatten()))
    values = {part: tensors[name] for part, name in layer.parts.items()}
    if any(part.startswith("lokr_w1") for part in values) and "lokr_t2" not in values:
        return layer.scaling * _kronecker(values, vector)
    changes = formulas.weight_changes(layer, tensors, weight)
    return torch.cat([change.flatten(1).double() @ vector for _, change in changes])


def _of_tuner(tuner: Any, adapter: str, vector: Any) -> Any:
    if hasattr(tuner, "lora_A"):
        down, up = (getattr(tuner, name)[adapter].weight.double().flatten(1) for name in ("lora_A", "lora_B"))
        return tuner.scaling[adapter] * (up @ (down @ vector))
    names = [name for name in tuner.adapter_layer_names if adapter in getattr(tuner, name)]
    if "lokr_w1" in names or "lokr_w1_a" in names:
        values = {name: getattr(tuner, name)[adapter] for name in names}
        if "lokr_t2" not in values:
            return tuner.scaling[adapter] * _kronecker(values, vector)
    return tuner.get_delta_weight(adapter).flatten(1).double() @ vector


def _kronecker(values: Mapping[str, Any], vector: Any) -> Any:
    """Return (W1 x W2) v without the product: the rows of W1 V W2', with v as the rows of V."""
    outer, inner = _factor(values, "lokr_w1"), _factor(values, "lokr_w2")
    through = outer @ vector.reshape(outer.shape[1], -1) @ inner.T
    return through.flatten()


def _factor(values: Mapping[str, Any], name: str) -> Any:
    if name in values:
        return values[name].double().flatten(1)
    return values[f"{name}_a"].double() @ values[f"{name}_b"].double().flatten(1)


def _bias(tuner: Any, adapter: str) -> Any:
    return getattr(tuner.lora_B[adapter], "bias", None) if hasattr(tuner, "lora_B") else None


def _tuner_bias(tuner: Any, adapter: str) -> Any:
    import torch

    bias = _bias(tuner, adapter)
    if bias is None:
        return torch.zeros(len(core(tuner).weight), dtype=torch.float64)
    return tuner.scaling[adapter] * bias.double()


def _file_bias(placed: Placed, tensors: Mapping[str, Any]) -> Any:
    import torch

    bias = formulas.bias_change(placed.layer, tensors)
    if bias is None:
        return torch.zeros(sum(placed.rows), dtype=torch.float64)
    return torch.cat(bias.chunk(2)[::-1]).double() if placed.layer.swapped else bias.double()
