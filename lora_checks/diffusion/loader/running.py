"""Run diffusers' own loader on a base without weights, and compare what it loaded with the file."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lora_checks.core.errors import GenerationError, first_line
from lora_checks.core.memory import available
from lora_checks.core.records import Lora
from lora_checks.diffusion import apply
from lora_checks.diffusion.apply.networks import components
from lora_checks.diffusion.apply.placement import Placed, place
from lora_checks.diffusion.loader import weightless
from lora_checks.diffusion.loader.comparison import Loaded, has_numbers, loaded
from lora_checks.diffusion.loader.loading import Loading, Strength

ADAPTER = "lora"
_SILENT = 100  # above every level of logging
_COPIES = 6  # of the file's size: read twice in 16 bits, and converted to 32


def loading(lora: Lora, folder: Path, allowed: Sequence[str]) -> Loading:
    """Return what diffusers loads of a file.

    Raises:
        GenerationError: The base has no LoRA loader, or the file is for another base.
        LoraFileError: The file changed since it was inspected.
    """
    if lora.second is not None:
        raise GenerationError("the LoRA is a pair of files")
    _refuse_large(lora.path)
    with _quiet():
        pipe = weightless.pipeline(folder)
        if not hasattr(pipe, "load_lora_weights"):
            raise GenerationError(f"{type(pipe).__name__} has no LoRA loader in diffusers")
        tensors = apply.read(lora)  # these bytes, and those that the loader reads, are the inspected ones
        placed, _ = place(pipe, lora, tensors, allowed)
        try:
            pipe.load_lora_weights(str(lora.path), weight_name=lora.path.name, adapter_name=ADAPTER)
        except Exception as error:  # whatever it raises is what its users see
            name, why = type(error).__name__, first_line(error).rstrip(": ")
            return Loading(len(lora.layers), refused=name if why == name else f"{name}: {why}")
        apply.read(lora)
        return _summary(lora, placed, tensors, components(pipe))


def _refuse_large(path: Path) -> None:
    """Raise `GenerationError` where memory may not hold the file as it is, and in single precision twice."""
    free = available()
    if free is not None and free < _COPIES * path.stat().st_size:
        raise GenerationError("memory is short")


def _summary(
    lora: Lora, placed: Sequence[Placed], tensors: Mapping[str, Any], networks: Mapping[str, Any]
) -> Loading:
    layers = [(one, loaded(one, tensors, networks[one.layer.component], ADAPTER)) for one in placed]
    found = [(one, layer) for one, layer in layers if layer is not None]
    used = {id(tuner) for _, layer in found for tuner in layer.tuners}
    used |= {id(networks[one.layer.component].get_submodule(path)) for one in placed for path in one.paths}
    beside = [
        module
        for network in networks.values()
        for module in network.modules()
        if id(module) not in used and has_numbers(module, ADAPTER)
    ]
    return Loading(
        len(lora.layers),
        len(found),
        _strengths(found),
        sum(layer.plain for _, layer in found),
        sum(layer.changed for _, layer in found),
        len(beside),
    )


def _strengths(layers: Sequence[tuple[Placed, Loaded]]) -> tuple[Strength, ...]:
    """Return the strengths that differ, to three digits, most layers first."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one, layer in layers:
        if layer.other:
            pair = f"{layer.ratio * one.layer.scaling:.3g}", f"{one.layer.scaling:.3g}"
            groups.setdefault(pair, []).append(one.layer.name)
    strengths = [
        Strength(float(theirs), float(stated), len(names), names[0])
        for (theirs, stated), names in groups.items()
    ]
    return tuple(sorted(strengths, key=lambda strength: -strength.layers))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence both libraries, and restore their level of logging and torch's random state afterwards."""
    import torch

    with ExitStack() as stack:
        for library in ("diffusers", "transformers"):
            importlib.import_module(library)
            logging: Any = importlib.import_module(f"{library}.utils.logging")
            stack.callback(logging.set_verbosity, logging.get_verbosity())
            logging.set_verbosity(_SILENT)
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield
