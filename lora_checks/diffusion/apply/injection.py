"""Inject carriers as PEFT layers around the modules of the base, and remove them."""

from __future__ import annotations

import re
import warnings
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import GenerationError, first_line
from lora_checks.core.records import Lora
from lora_checks.diffusion.apply.carriers import Carrier, Kind
from lora_checks.diffusion.apply.dora import become, magnitude
from lora_checks.diffusion.apply.networks import core
from lora_checks.diffusion.apply.pieces import VALUES, adopt
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.header import shown


@dataclass(frozen=True)
class Slot:
    """One module's share of an adapter, in PEFT's layer."""

    component: str
    path: str
    kind: Kind
    adapter: str  # PEFT's adapter name
    tuner: Any  # the PEFT layer around the module
    scaling: float  # at strength 1
    file: str  # for messages
    strength: Any = None  # float32 tensor of one, in a seat: scaling times the LoRA's strength

    def act(self, strength: float) -> None:
        """Set the strength of the adapter on this module."""
        if self.strength is None:
            self.tuner.scaling[self.adapter] = self.scaling * strength
        else:
            self.strength.fill_(self.scaling * strength)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence PEFT's warnings about several adapters on one model, which are intended here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def inject(modules: Mapping[str, Any], name: str, carriers: Sequence[Carrier], lora: Lora) -> list[Slot]:
    """Inject carriers; each kind becomes its own PEFT adapter, as an adapter has one configuration."""
    grouped: dict[tuple[str, Kind], dict[str, Carrier]] = defaultdict(dict)
    for carrier in carriers:
        grouped[carrier.layer.component, carrier.kind][carrier.path] = carrier
    active = {id(tuner): (tuner, list(tuner.active_adapters)) for tuner in _tuners(modules)}
    slots = []
    for (component, kind), by_path in grouped.items():
        slots += _inject(modules[component], f"{name}_{kind}", by_path, lora)
    for tuner in _tuners(modules):
        _set(tuner, active.get(id(tuner), (tuner, []))[1])
    return slots


def _inject(component: Any, adapter: str, by_path: Mapping[str, Carrier], lora: Lora) -> list[Slot]:
    import peft

    some = next(iter(by_path.values()))
    bare = any(weights.format_of(core(component.get_submodule(path))) for path in by_path)
    try:
        with _lifted(component, list(by_path), some.kind):
            peft.inject_adapter_in_model(
                _config(some.kind, list(by_path), bare), component, adapter, low_cpu_mem_usage=True
            )
    except (ValueError, TypeError, RuntimeError) as error:
        raise GenerationError(f"{lora.path.name}: PEFT refuses its layers: {first_line(error)}") from error
    slots = [_fill(component, adapter, carrier, lora) for carrier in by_path.values()]
    _check_account(component, adapter, slots, lora)
    return slots


def _config(kind: Kind, paths: Sequence[str], bare: bool) -> Any:
    """Return PEFT's configuration; its ranks do not matter, as the file's tensors replace all parameters.

    ``bare``: a layer is quantised, on which PEFT prepares no DoRA.
    """
    import peft

    target = "|".join(re.escape(path) for path in paths)
    if kind == "loha":
        return peft.LoHaConfig(r=1, alpha=1, target_modules=target, init_weights=False)
    if kind == "lokr":
        return peft.LoKrConfig(r=1, alpha=1, target_modules=target, init_weights=False)
    return peft.LoraConfig(
        r=1,
        lora_alpha=1,
        target_modules=target,
        init_lora_weights=False,
        use_dora=kind == "dora" and not bare,
        lora_bias=kind == "lora_bias",
    )


@contextmanager
def _lifted(component: Any, paths: Sequence[str], kind: Kind) -> Iterator[None]:
    """Inject a LoRA below the LoHas and LoKrs of its module: a DoRA needs the output of the base alone."""
    outer = {}
    for path in paths if kind not in ("loha", "lokr") else ():
        above = [tuner for tuner in chain(component.get_submodule(path)) if not hasattr(tuner, "lora_A")]
        if above:
            outer[path] = above
            put(component, path, above[-1].base_layer)
    yield
    for path, above in outer.items():
        above[-1].base_layer = component.get_submodule(path)
        put(component, path, above[0])


def chain(module: Any) -> Iterator[Any]:
    """Yield the PEFT layers around a module, from the outside in."""
    while hasattr(module, "base_layer"):
        yield module
        module = module.base_layer


def put(component: Any, path: str, module: Any) -> None:
    """Replace the module at ``path``."""
    parent, _, last = path.rpartition(".")
    setattr(component.get_submodule(parent), last, module)


def _tuners(modules: Mapping[str, Any]) -> list[Any]:
    return [
        module
        for component in modules.values()
        for module in component.modules()
        if hasattr(module, "base_layer") and hasattr(module, "active_adapters")
    ]


def names(tuner: Any) -> set[str]:
    """Return the PEFT adapters that have parameters on a layer."""
    return {name for kind in tuner.adapter_layer_names for name in getattr(tuner, kind)}


def _fill(component: Any, adapter: str, carrier: Carrier, lora: Lora) -> Slot:
    import torch

    module = component.get_submodule(carrier.path)
    tuner = next((tuner for tuner in chain(module) if adapter in names(tuner)), None)
    if tuner is None:
        raise GenerationError(f"{lora.path.name}: PEFT did not adapt {carrier.path}")
    base = core(module)
    dtype = torch.float32 if carrier.exact else weights.dtype(base)
    parameters = {
        name: torch.nn.Parameter(cast(value, dtype, base.weight.device, carrier, lora), requires_grad=False)
        for name, value in carrier.parameters.items()
    }
    if carrier.kind in ("loha", "lokr"):
        adopt(tuner)
        _fill_lycoris(tuner, adapter, parameters)
        tuner.within[adapter] = carrier.within
        tuner.r[adapter], tuner.alpha[adapter] = 1, carrier.scaling
    else:
        _fill_lora(tuner, adapter, parameters, carrier.scaling)
        tuner.r[adapter], tuner.lora_alpha[adapter] = 1, carrier.scaling
    tuner.scaling[adapter] = carrier.scaling
    tuner.eval()
    return Slot(
        carrier.layer.component, carrier.path, carrier.kind, adapter, tuner, carrier.scaling, lora.path.name
    )


def cast(value: Any, dtype: Any, device: Any, carrier: Carrier, lora: Lora) -> Any:
    """Cast to the base's dtype as diffusers does, but raise an error if a value becomes NaN or infinite.

    Tensors that may be as large as the base's weight keep the file's dtype unless it is wider.
    """
    import torch

    for piece in value.flatten().split(VALUES):
        if not torch.isfinite(piece.to(dtype)).all():
            what = "holds values that are not finite"
            if torch.isfinite(piece).all():
                short = str(dtype).removeprefix("torch.")
                what = f"overflows in {short}: pass --lora-dtype bfloat16 or float32"
            raise GenerationError(f"{lora.path.name}: layer {shown(carrier.layer.name)} {what}")
    as_it_is = carrier.stored and value.element_size() <= dtype.itemsize
    return value.to(device=device, dtype=value.dtype if as_it_is else dtype).contiguous()


def _fill_lora(tuner: Any, adapter: str, parameters: Mapping[str, Any], scaling: float) -> None:
    tuner.lora_A[adapter].weight = parameters["lora_A"]
    tuner.lora_B[adapter].weight = parameters["lora_B"]
    if "bias" in parameters:
        tuner.lora_B[adapter].bias = parameters["bias"]
    if "magnitude" in parameters:
        if adapter not in tuner.lora_variant:
            become(tuner, adapter)
        tuner.lora_magnitude_vector[adapter] = magnitude(parameters["magnitude"], scaling)


def _fill_lycoris(tuner: Any, adapter: str, parameters: Mapping[str, Any]) -> None:
    for kind in tuner.adapter_layer_names:
        held = getattr(tuner, kind)
        if adapter in held:
            del held[adapter]
        if kind in parameters:
            held[adapter] = parameters[kind]


def _check_account(component: Any, adapter: str, slots: Sequence[Slot], lora: Lora) -> None:
    """Check that exactly the modules of the file have the adapter, and that it has weights there."""
    wanted = {id(slot.tuner) for slot in slots}
    having = {id(tuner) for tuner in _tuners({"": component}) if adapter in names(tuner)}
    if having != wanted or len(wanted) != len(slots):
        raise GenerationError(
            f"{lora.path.name}: PEFT adapted {len(having)} modules of {slots[0].component}, not the "
            f"{len(slots)} that the file is of"
        )
    for slot in slots:
        held = [getattr(slot.tuner, kind) for kind in slot.tuner.adapter_layer_names]
        if any(weight.is_meta for module in held for weight in module.parameters()):
            raise GenerationError(f"{lora.path.name}: {slot.path} has no weights after loading")


def check(slots: Sequence[Slot]) -> None:
    """Raise `GenerationError` unless these slots of one PEFT layer can be active together."""
    for slot in slots:
        _check_real(slot)
    doras = [slot for slot in slots if slot.kind == "dora"]
    if len(doras) > 1:
        raise GenerationError(
            f"{doras[0].file} and {doras[1].file} are both "
            f"DoRAs of {doras[0].component} module {doras[0].path}, which only one can be; gate them apart"
        )


def set_active(tuner: Any, slots: Sequence[Slot]) -> None:
    """Activate slots in loading order, but DoRAs first: their factor applies to the base's output."""
    ordered = sorted(slots, key=lambda slot: slot.kind != "dora")
    _set(tuner, [slot.adapter for slot in ordered])


def _check_real(slot: Slot) -> None:
    """Raise `GenerationError` if the slot cannot be computed while offloaded layer by layer.

    accelerate brings back only what a module's own forward pass needs. The matrices of LoHa and LoKr are in
    no module with a forward pass, and a DoRA of the inputs reads the base's weight after its forward pass.
    """
    if slot.kind in ("lora", "lora_bias"):
        return
    held = [getattr(slot.tuner, kind) for kind in slot.tuner.adapter_layer_names]
    if any(weight.is_meta for module in held for weight in module.parameters()):
        raise GenerationError(
            f"{slot.file}: {slot.component} module {slot.path} has a DoRA, LoHa or LoKr, which cannot "
            "be applied to a base that is offloaded layer by layer: pass --lora-offload model"
        )


def _set(tuner: Any, active: list[str]) -> None:
    tuner.set_adapter(active)
    for kind in tuner.adapter_layer_names:  # PEFT makes what is active trainable
        getattr(tuner, kind).requires_grad_(False)


def eject(modules: Mapping[str, Any], slots: Sequence[Slot]) -> None:
    """Delete the adapters, and every PEFT layer that has none left."""
    for slot in slots:
        _set(slot.tuner, [name for name in slot.tuner.active_adapters if name != slot.adapter])
        slot.tuner.delete_adapter(slot.adapter)
        getattr(modules[slot.component], "peft_config", {}).pop(slot.adapter, None)
    for slot in slots:
        if not names(slot.tuner):
            _unwrap(modules[slot.component], slot.path, slot.tuner)
    for module in modules.values():
        if getattr(module, "peft_config", None) == {}:
            del module.peft_config


def _unwrap(component: Any, path: str, tuner: Any) -> None:
    outermost = component.get_submodule(path)
    if outermost is tuner:
        put(component, path, tuner.base_layer)
        return
    above = next((layer for layer in chain(outermost) if layer.base_layer is tuner), None)
    if above is not None:
        above.base_layer = tuner.base_layer
