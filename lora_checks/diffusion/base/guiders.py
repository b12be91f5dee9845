"""Guidance that is a part of a pipeline (a guider) and no argument of its call, as in HunyuanImage 2.1."""

from __future__ import annotations

import inspect
from collections.abc import Container, Mapping
from typing import Any

GUIDERS = ("guider", "ocr_guider")  # the second takes over where a prompt quotes words to be written
_OWN = "_lora_checks_guiders"  # attribute of the pipeline: its guiders as they were loaded
_DISTILLED = "distilled_guidance_scale"


def takes_guidance(index: Mapping[str, Any], takes: Container[str], denoiser: Mapping[str, Any]) -> bool:
    """Return whether a pipeline does something with a guidance, given its model_index.json and arguments."""
    guiders = [index[name] for name in GUIDERS if isinstance(index.get(name), list)]
    distilled = _DISTILLED in takes and bool(denoiser.get("guidance_embeds"))
    return "guidance_scale" in takes or distilled or any(value[0] is not None for value in guiders)


def guides(pipeline: Any) -> bool:
    """Return whether a pipeline class has a guider that no file describes, as a modular one has."""
    return bool(getattr(pipeline, "own_parts", frozenset()) & set(GUIDERS))


def guided(pipe: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call with its guidance where this pipeline has it.

    Guiders remember the steps that they saw, so that each call has new ones: an image must not depend on the
    one before it.
    """
    takes = inspect.signature(pipe.__call__).parameters
    rest = dict(options)
    if "guidance_scale" in takes:
        return rest
    scale = rest.pop("guidance_scale", None)
    own = vars(pipe).setdefault(_OWN, {name: getattr(pipe, name, None) for name in GUIDERS})
    for name, guider in own.items():
        if guider is not None:
            setattr(pipe, name, guider.new(**_settings(guider, scale)))
    if scale is not None and _DISTILLED in takes:
        rest[_DISTILLED] = scale
    return rest


def _settings(guider: Any, scale: float | None) -> dict[str, Any]:
    """Return the changes for a guidance: a guider that is published switched off (Z-Image's) has to guide."""
    if scale is None:
        return {}
    asleep = scale > 1 and guider.config.get("enabled") is False
    return {"guidance_scale": scale, **({"enabled": True} if asleep else {})}
