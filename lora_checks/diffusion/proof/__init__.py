"""Prove that a LoRA on a pipeline does what its file says, layer by layer and for each whole network."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import Proof
from lora_checks.diffusion import apply
from lora_checks.diffusion.apply.carriers import Kind
from lora_checks.diffusion.base.memory import settle
from lora_checks.diffusion.proof import arithmetic
from lora_checks.diffusion.proof.effect import FLOOR, distance, numbers, rounding, same, share
from lora_checks.diffusion.proof.inputs import Inputs, capture
from lora_checks.diffusion.proof.layers import Inspector, Spot, rows
from lora_checks.diffusion.proof.module import acts, adapter_values, holds, is_finite, strengths, tuner_layers
from lora_checks.diffusion.quantised import weights

# How far a compiled network's output may be from the plain one's, of itself, in float32 and half precision:
# kernels sum in another order, and fused ones round less often.
COMPILED, COMPILED_HALF = 1e-4, 2.0**-5
AWAY = (
    0.5  # how far the LoRA's effect may be from once itself there: 0 would be that of no LoRA, or an old one
)

Compiled = Callable[[], AbstractContextManager[None]]


def prove(
    pipe: Any,
    adapter: apply.Adapter,
    strength: float,
    others: Mapping[str, float] | None = None,
    compiled: Compiled | None = None,
) -> Proof:
    """Prove an active adapter in the pipeline's present state, which is restored afterwards.

    The inputs are those that the pipeline passes on for one small image, the same in every run.

    Args:
        pipe: The pipeline.
        adapter: The adapter to prove.
        strength: The strength at which it is active.
        others: Names and strengths of the companions that are active too.
        compiled: Runs the pipeline compiled; that it has the same effect then is proven as well.

    Raises:
        GenerationError: The proof failed; the message names the layer or the network.
    """
    with _quiet(pipe), _restored(apply.components(pipe)):
        return _Case(pipe, adapter, strength, others or {}, compiled).proof()


@dataclass(frozen=True)
class _Case:
    """The proof of one adapter on one pipeline."""

    pipe: Any
    adapter: apply.Adapter
    strength: float
    others: Mapping[str, float]
    compiled: Compiled | None = None

    def proof(self) -> Proof:
        modules = apply.components(self.pipe)
        spots = self._spots(modules)
        self._check_active([spot for row in spots for spot in row])
        self._check_alone(modules)
        inputs = capture(self.pipe, modules)
        used = [name for name in modules if any(spot.component == name for row in spots for spot in row)]
        real: dict[Spot, Any] = {}
        passes: dict[Spot, arithmetic.Pass] = {}
        outputs: dict[str, list[Any]] = {}
        again: dict[str, list[Any]] = {}
        for name in used:
            if name not in inputs:
                raise self._error(
                    f"changes {name}, which this base does not call, or not as a whole, for an image: it "
                    "cannot be proven there; save the LoRA without it"
                )
            settle(self.pipe)  # else it would come beside the network before it
            with _recording([spot for row in spots for spot in row if spot.component == name], real, passes):
                outputs[name] = numbers(inputs[name].run(modules[name]))
            if self.compiled is not None:
                with self.compiled():
                    again[name] = numbers(inputs[name].run(modules[name]))
        worst = self._check_layers(spots, real, passes)
        effect = {
            name: self._effect(modules[name], name, inputs[name], outputs[name], spots, again.get(name))
            for name in used
        }
        return self._record(modules, effect, worst)

    def _spots(self, modules: Mapping[str, Any]) -> list[tuple[Spot, ...]]:
        """Return the modules of each placed layer."""
        return [
            tuple(
                Spot(placed.layer.component, path, modules[placed.layer.component].get_submodule(path))
                for path in placed.paths
            )
            for placed in self.adapter.placed
        ]

    def _check_active(self, spots: Sequence[Spot]) -> None:
        """Check that every module of the file has the adapter, active and with finite values."""
        names = peft_names(self.adapter.name)
        for spot in spots:
            where = f"{spot.component} {spot.path}"
            held = [(layer, holds(layer, names)) for layer in tuner_layers(spot.module)]
            if not any(mine for _, mine in held):
                raise self._error(f"is not on {where}, though the file has a layer for it")
            if any(
                layer.disable_adapters or not set(mine) <= set(layer.active_adapters) for layer, mine in held
            ):
                raise self._error(f"is loaded but not active on {where}")
            for value in adapter_values(spot.module, names):
                if value.is_meta or not is_finite(value):
                    what = "no numbers after loading (meta device)" if value.is_meta else "NaN or Inf"
                    raise self._error(f"has {what} on {where}")

    def _check_alone(self, modules: Mapping[str, Any]) -> None:
        wanted = {name for adapter in (self.adapter.name, *self.others) for name in peft_names(adapter)}
        for layer in (layer for module in modules.values() for layer in tuner_layers(module)):
            stray = {name for name in holds(layer, layer.active_adapters) if acts(layer, name)} - wanted
            if stray and not layer.disable_adapters:
                raise self._error(f"is not alone on the base: adapter {min(stray)} is active as well")

    def _check_layers(
        self,
        spots: Sequence[Sequence[Spot]],
        real: Mapping[Spot, Any],
        passes: Mapping[Spot, arithmetic.Pass],
    ) -> float:
        """Compare the layers one after another, so that memory holds the full change of only one weight."""
        unused = next((spot for row in spots for spot in row if spot not in real), None)
        if unused:
            raise self._error(f"changes {unused.component} {unused.path}, which the base never runs")
        inspector = Inspector(self._file, peft_names(self.adapter.name), self.adapter.tensors, self.strength)
        for placed, row in zip(self.adapter.placed, spots, strict=True):
            inspector.check(placed, row, [real[spot] for spot in row], [passes.get(spot) for spot in row])
        return inspector.worst

    def _effect(
        self,
        module: Any,
        name: str,
        inputs: Inputs,
        found: list[Any],
        spots: Sequence[Sequence[Spot]],
        again: list[Any] | None,
    ) -> float:
        """Return |output with - output without| / |output without|, and whether it exceeds rounding."""
        settle(self.pipe)
        apply.activate(self.pipe, self.others)
        base = numbers(inputs.run(module))
        apply.activate(self.pipe, {**self.others, self.adapter.name: 0.0})
        if not same(numbers(inputs.run(module)), base):
            raise self._error(f"at strength 0 still changes the {name}")
        apply.activate(self.pipe, self.others)
        if not same(numbers(inputs.run(module)), base):
            raise self._error(
                f"leaves the {name} changed when it is off, or this device does not repeat itself"
            )
        with rounding([spot.module for row in spots for spot in row if spot.component == name]):
            noise = distance(numbers(inputs.run(module)), base)
        if again is not None:
            self._compare_compiled(name, again, found, base)
        return self._judge(name, distance(found, base), max(noise, FLOOR))

    def _compare_compiled(self, name: str, again: list[Any], found: list[Any], base: list[Any]) -> None:
        modules = apply.components(self.pipe)
        exact = str(modules[name].dtype) == "torch.float32"
        apart = distance(again, found)
        if not apart <= (COMPILED if exact else COMPILED_HALF):
            raise self._error(f"gives another {name} when compiled: its output is {apart:.1e} of itself away")
        times = share(again, found, base)
        if times is not None and abs(times - 1) > AWAY:
            raise self._error(f"acts at {times:.2g} times its strength on the compiled {name}")

    def _judge(self, name: str, effect: float, limit: float) -> float:
        if not math.isfinite(effect):
            raise self._error(f"makes the {name} give numbers that are not finite; pass --lora-dtype float32")
        alive = any(one.layer.component == name and not one.layer.dead for one in self.adapter.placed)
        if alive and not effect > limit:
            raise self._error(
                f"had no effect on the {name}: its output moves by {effect:.1e} of itself, by rounding alone "
                f"it moves by {limit:.1e}; train it longer, or pass --lora-dtype float32"
            )
        return effect

    def _record(self, modules: Mapping[str, Any], effect: Mapping[str, float], worst: float) -> Proof:
        denoiser = next(module for name, module in modules.items() if not name.startswith("text_encoder"))
        return Proof(
            tensors=self.adapter.lora.tensors,
            layers=len(self.adapter.placed),
            unused=self.adapter.unused,
            dead=tuple(one.layer.name for one in self.adapter.placed if one.layer.dead),
            effect=effect,
            worst_layer_error=worst,
            device=str(getattr(self.pipe, "_execution_device", denoiser.device)),
            dtype=str(denoiser.dtype).removeprefix("torch."),
        )

    @property
    def _file(self) -> str:
        return self.adapter.lora.path.name

    def _error(self, what: str) -> GenerationError:
        return GenerationError(f"{self._file} {what}")


def peft_names(adapter: str) -> list[str]:
    """Return PEFT's names for an adapter: one for each kind of layer in it."""
    return [f"{adapter}_{kind}" for kind in get_args(Kind)]


@contextmanager
def _recording(
    spots: Sequence[Spot], real: dict[Spot, Any], passes: dict[Spot, arithmetic.Pass]
) -> Iterator[None]:
    """Collect in ``real`` some rows of the first input that reaches each module.

    ``passes``: of each quantised module some rows of what came in and out.
    """

    def hook(spot: Spot) -> Any:
        def record(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if spot not in real:
                real[spot] = rows(spot.module, args[0] if args else next(iter(kwargs.values())))

        return record

    with ExitStack() as stack:
        for spot in spots:
            stack.callback(spot.module.register_forward_pre_hook(hook(spot), with_kwargs=True).remove)
            if _is_watched(spot.module.get_base_layer()):
                passes[spot] = arithmetic.watched(spot.module, partial(rows, spot.module))
                stack.callback(arithmetic.unwatch, passes[spot])
        yield


def _is_watched(base: Any) -> bool:
    """Return whether a library computes a layer; diffusers casts convolutions, too, which torch computes."""
    return bool(weights.format_of(base)) and len(weights.shape(base)) == 2


@contextmanager
def _restored(modules: Mapping[str, Any]) -> Iterator[None]:
    """Restore the active adapters and strengths of every PEFT layer afterwards."""
    layers = [layer for module in modules.values() for layer in tuner_layers(module)]
    before = [(layer._active_adapter, layer._disable_adapters, dict(layer.scaling)) for layer in layers]
    held = [(value, value.clone()) for layer in layers for value in strengths(layer).values()]
    try:
        yield
    finally:
        for layer, (active, disabled, scaling) in zip(layers, before, strict=True):
            layer._active_adapter, layer._disable_adapters = active, disabled
            layer.scaling.clear()
            layer.scaling.update(scaling)
        for value, was in held:
            value.copy_(was)


@contextmanager
def _quiet(pipe: Any) -> Iterator[None]:
    """Switch off gradients, autocast and warnings, and restore torch's random state afterwards."""
    import torch

    # Asking another worker's card for its state would take half a gigabyte of it.
    device = getattr(pipe, "_execution_device", torch.device("cpu"))
    cuda = [] if device.type != "cuda" else [device.index or 0]
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=cuda))
        for kind in ("cpu", "cuda", "mps"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
