"""Load a LoRA onto a pipeline with every tensor accounted for, set its strength, and remove it.

Names come from the file's reader, places from `placement` and parameters from `carriers`; the layers are
PEFT's. diffusers' own loader drops unknown keys, loses per-layer alphas and magnitudes and does not support
LoHa.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import Lora
from lora_checks.diffusion.apply import injection, seat
from lora_checks.diffusion.apply.carriers import MAGNITUDES, Carrier, carriers
from lora_checks.diffusion.apply.injection import Slot
from lora_checks.diffusion.apply.networks import components, core, denoisers
from lora_checks.diffusion.apply.placement import Placed, place
from lora_checks.diffusion.quantised import weights
from lora_checks.lora.bundles import joined, read_config
from lora_checks.lora.header import Header, Tensor, read_header, shown
from lora_checks.lora.opening import open_regular

__all__ = ["Adapter", "Placed", "activate", "components", "denoisers", "load", "place", "remove", "slots"]

_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
}  # fmt: skip
_SLOTS = "_lora_checks_slots"  # attribute of the pipeline: adapter name -> its slots


@dataclass(frozen=True)
class Adapter:
    """One LoRA on the pipeline."""

    name: str  # `activate` sets the strength by this name
    lora: Lora
    placed: tuple[Placed, ...]
    tensors: Mapping[str, Any]  # the file's tensors, on the CPU, as stored
    unused: tuple[str, ...]  # tensor names that the policy allowed to be left out


def load(pipe: Any, lora: Lora, name: str = seat.NAME, allowed: Sequence[str] = ()) -> Adapter:
    """Put a LoRA on the pipeline; it has no effect until `activate` sets its strength.

    After an exception the pipeline must not be used any more.

    Args:
        pipe: The pipeline; its weights must be real, so call `memory.fetch_back` first.
        lora: The inspected file.
        name: A new adapter name; that of the seat replaces the LoRA that is there.
        allowed: fnmatch patterns of tensor names that may have no place on the base.

    Raises:
        LoraFileError: The file changed since it was inspected, or cannot be applied.
        GenerationError: The file is for another base.
    """
    if name != seat.NAME and name in slots(pipe):
        raise ValueError(f"there is an adapter '{name}' on the pipeline")
    tensors = read(lora)
    placed, unused = place(pipe, lora, tensors, allowed)
    with injection.quiet():
        parameters = _carriers(pipe, lora, placed, tensors)
        if name == seat.NAME:
            held = slots(pipe).pop(name, [])
            slots(pipe)[name] = seat.put(components(pipe), parameters, lora, held)
        else:
            slots(pipe)[name] = injection.inject(components(pipe), name, parameters, lora)
    return Adapter(name, lora, placed, tensors, unused)


def read(lora: Lora) -> dict[str, Any]:
    """Read the tensors from exactly the bytes that were inspected. Raises `LoraFileError` if they changed."""
    contents = [_content(path) for path in (lora.path, lora.second) if path is not None]
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    try:
        digest.update(read_config(lora.config) if lora.config else b"")
    except (LoraFileError, OSError) as error:
        raise LoraFileError(f"{lora.config} {error}") from error
    if digest.hexdigest() != lora.sha256:
        raise _changed(lora.path)
    tensors = joined([_header(content).tensors for content in contents])
    return {name: _tensor(contents[tensor.file], tensor) for name, tensor in tensors.items()}


def _content(path: Path) -> bytearray:
    try:
        with open_regular(path) as file:
            content = bytearray(os.fstat(file.fileno()).st_size)
            size = file.readinto(content) + len(file.read(1))
    except LoraFileError as error:
        raise LoraFileError(f"{path} {error}") from error
    if size != len(content):
        raise _changed(path)
    return content


def _changed(path: Path) -> LoraFileError:
    return LoraFileError(f"{path} changed while it was being gated; run again when it is complete")


def _header(content: bytearray) -> Header:
    begin = 8 + int.from_bytes(content[:8], "little")
    return read_header(BytesIO(content[:begin]), len(content), ".safetensors")


def _tensor(content: bytearray, tensor: Tensor) -> Any:
    """Create a tensor that shares the memory of the file's content."""
    import torch

    dtype = getattr(torch, _DTYPES[tensor.dtype])
    data = memoryview(content)[tensor.begin : tensor.end]
    if tensor.begin % dtype.itemsize:  # numbers begin at a multiple of their size
        data = memoryview(bytearray(data))
    return torch.frombuffer(data, dtype=dtype).reshape(tensor.shape)


def activate(pipe: Any, strengths: Mapping[str, float]) -> None:
    """Set the strength of every adapter, by name; adapters with strength 0 or without one add nothing.

    A strength multiplies the change of the weight.

    Raises:
        GenerationError: Two DoRAs are on one layer, or the base is offloaded layer by layer and an adapter
            cannot be computed that way. Nothing was changed.
    """
    loaded = slots(pipe)
    for name in strengths:
        if name not in loaded:
            raise ValueError(f"there is no adapter '{name}' on the pipeline")
    wanted: dict[int, list[Slot]] = defaultdict(list)
    for name, mine in loaded.items():
        for slot in mine:
            on = strengths.get(name, 0.0) or slot.strength is not None  # a seat is on, with a strength of 0
            wanted[id(slot.tuner)] += [slot] if on else []
    for together in wanted.values():
        injection.check(together)
    for name, mine in loaded.items():
        for slot in mine:
            slot.act(strengths.get(name, 1.0 if slot.strength is None else 0.0))
    for tuner in {id(slot.tuner): slot.tuner for mine in loaded.values() for slot in mine}.values():
        injection.set_active(tuner, wanted[id(tuner)])


def remove(pipe: Any, name: str) -> None:
    """Remove an adapter; after the last one the pipeline has the base's original modules again."""
    with injection.quiet():
        injection.eject(components(pipe), slots(pipe).pop(name))


def slots(pipe: Any) -> dict[str, list[Slot]]:
    """Return the PEFT layers of each adapter on the pipeline, by adapter name."""
    by_adapter: dict[str, list[Slot]] = vars(pipe).setdefault(_SLOTS, {})
    return by_adapter


def _carriers(pipe: Any, lora: Lora, placed: Sequence[Placed], tensors: Mapping[str, Any]) -> list[Carrier]:
    modules = components(pipe)
    found = []
    for one in placed:
        cores = [core(modules[one.layer.component].get_submodule(path)) for path in one.paths]
        try:
            _check_modules(one, cores)
            found += carriers(one, tensors, [_weight(one, module) for module in cores])
        except LoraFileError as error:
            raise LoraFileError(f"{lora.path.name}: {error}") from error
    return found


def _weight(one: Placed, module: Any) -> Any:
    """Return a module's weight; of a quantised one its values only where magnitudes are computed of them."""
    if weights.format_of(module) and not MAGNITUDES & one.layer.parts.keys():
        return weights.stand_in(module)
    return weights.value(module)


def _check_modules(one: Placed, cores: Sequence[Any]) -> None:
    import torch

    for module in cores:
        plain = isinstance(module, torch.nn.Linear)
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Conv3d)):
            plain = module.groups == 1 and set(module.dilation) == {1} and module.padding_mode == "zeros"
        if not plain:
            raise LoraFileError(
                f"layer {shown(one.layer.name)} is of a {type(module).__name__} of the base; only linear "
                "layers and plain convolutions can be adapted"
            )
