"""The networks of a pipeline that a LoRA can change.

They are what diffusers says of the pipeline's class (`_lora_loadable_modules`), its denoisers and its text
encoders; nothing is known of families, so that a pipeline that diffusers gains tomorrow has them too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lora_checks.lora.names import Base, Network, is_text_encoder

# What pipelines call a denoiser; a network of another name counts if diffusers' class takes LoRAs.
_DENOISER = re.compile(r"(?:\w+_)?(?:unet|transformer|prior|denoiser)(?:_\d+|_ref)?")
_NO_DENOISER = re.compile(
    r"controlnet\w*|\w*_?adapter\w*|vae\w*|image_\w+|safety_\w+|\w*connectors?|text_conditioner"
)


def components(pipe: Any) -> dict[str, Any]:
    """Return the networks that a LoRA can change, denoisers first, by the pipeline's names for them."""
    networks = _networks(pipe)
    loadable = _loadable(pipe)
    found = [name for name in networks if name in loadable or is_text_encoder(name)]
    found += [name for name in networks if name not in found and _is_denoiser(name, networks[name])]

    def order(name: str) -> tuple[bool, bool, bool, str]:
        return is_text_encoder(name), not _may_denoise(name), name not in loadable, name

    return {name: networks[name] for name in sorted(found, key=order)}


def may_be_adapted(name: str) -> bool:
    """Return whether a part of this name may be one of the `components`; the pipeline decides."""
    return is_text_encoder(name) or _may_denoise(name)


def denoisers(pipe: Any) -> list[str]:
    """Return the networks that "the denoiser" means: those that diffusers loads LoRAs onto, else all."""
    every = [name for name in components(pipe) if not is_text_encoder(name)]
    loadable = _loadable(pipe)
    return [name for name in every if name in loadable and _may_denoise(name)] or every


def base_of(pipe: Any) -> Base:
    """Return the names of the pipeline's networks and of their modules."""
    networks = (
        Network.of(name, (kind.__name__ for kind in type(module).__mro__), weighted(module))
        for name, module in components(pipe).items()
    )
    return Base(networks, denoisers(pipe), _loadable(pipe))  # PRX calls its transformer "unet" in files


def core(module: Any) -> Any:
    """Return the base's own module, without the adapters around it."""
    return module.get_base_layer() if hasattr(module, "get_base_layer") else module


def weighted(module: Any, prefix: str = "") -> Iterator[str]:
    """Yield the path of every module of the base that has a weight."""
    for name, child in module._modules.items():
        if child is None:
            continue
        path = f"{prefix}{name}"
        if getattr(core(child), "weight", None) is not None:
            yield path
        else:
            yield from weighted(child, f"{path}.")


def _networks(pipe: Any) -> Mapping[str, Any]:
    parts = pipe.components if hasattr(pipe, "components") else vars(pipe)
    return {name: part for name, part in parts.items() if hasattr(part, "named_modules")}


def _loadable(pipe: Any) -> list[str]:
    return list(getattr(pipe, "_lora_loadable_modules", ()))


def _may_denoise(name: str) -> bool:
    return not _NO_DENOISER.fullmatch(name)


def _is_denoiser(name: str, module: Any) -> bool:
    return _may_denoise(name) and bool(_DENOISER.fullmatch(name) or hasattr(module, "load_lora_adapter"))
