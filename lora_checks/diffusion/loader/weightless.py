"""Build a base's pipeline for its own LoRA loader, with weights that take no memory."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.diffusion.apply.networks import may_be_adapted
from lora_checks.diffusion.base.as_written import REWRITERS
from lora_checks.diffusion.base.family import index_of, pipeline_class

_LIBRARIES = ("diffusers", "transformers")


def pipeline(folder: Path) -> Any:
    """Return a pipeline of the base's class that has its denoisers and text encoders, and nothing else.

    Their weights are views of one zero, so a network of 30 GB takes kilobytes; `load_lora_weights` treats
    it as any network on the CPU.

    Raises:
        ConfigError: The folder is no pipeline that makes an image of a prompt.
    """
    index = index_of(folder)
    kind = _kind(folder, index.get("_class_name"))
    networks = {
        name: _network(folder / name, *value)
        for name, value in index.items()
        if isinstance(value, list) and _wanted(name, value)
    }
    return _bare(kind, networks, [name for name, value in index.items() if isinstance(value, list)])


def _kind(folder: Path, name: object) -> Any:
    """Return the class that has the loader: a modular pipeline's own, not the one that the gate makes."""
    diffusers: Any = importlib.import_module("diffusers")
    kind = pipeline_class(folder, name)
    own = getattr(diffusers, str(name))
    return own if issubclass(own, diffusers.ModularPipeline) else kind


def _wanted(name: str, value: list[Any]) -> bool:
    if value[0] not in _LIBRARIES or name in REWRITERS or not may_be_adapted(name):
        return False
    return hasattr(getattr(importlib.import_module(value[0]), value[1], None), "named_modules")


def _network(folder: Path, library: str, name: str) -> Any:
    import torch

    kind = getattr(importlib.import_module(library), name)
    with torch.device("meta"):
        if library == "diffusers":
            config = kind.load_config(folder, local_files_only=True)
            config.pop("quantization_config", None)
            network = kind.from_config(config)
        else:
            network = kind(kind.config_class.from_pretrained(folder, local_files_only=True))
    for module in network.modules():
        _fill(module)
    return network.eval()


def _fill(module: Any) -> None:
    """Replace what is on the meta device, where a loader would leave the LoRA's numbers, too."""
    import torch

    for name, weight in module._parameters.items():
        if weight is not None and weight.is_meta:
            zeros = torch.zeros((), dtype=weight.dtype).expand(weight.shape)
            module._parameters[name] = torch.nn.Parameter(zeros, requires_grad=False)
    for name, buffer in module._buffers.items():
        if buffer is not None and buffer.is_meta:
            module._buffers[name] = torch.zeros((), dtype=buffer.dtype).expand(buffer.shape)


def _bare(kind: Any, networks: Mapping[str, Any], parts: list[str]) -> Any:
    """Return an object of a subclass that skips the pipeline's constructor, which wants every part."""
    constructor = {"__init__": object.__init__}
    bare = type(kind.__name__, (kind,), {**constructor, "components": property(lambda _: dict(networks))})
    pipe = bare()
    vars(pipe).update({name: networks.get(name) for name in parts})
    return pipe
