"""Determine from a base's files which arguments it supports.

Reads no weights and, for the usual families, imports no library.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import declared, modular, task
from lora_checks.diffusion.base.as_written import AS_WRITTEN
from lora_checks.diffusion.base.guiders import guides, takes_guidance

# An inpainting or img2img pipeline has the weights of its family's text-to-image pipeline.
_KNOWN = re.compile(r"(StableDiffusion|StableDiffusionXL|StableDiffusion3|Flux)(?:Img2Img|Inpaint)?Pipeline")
_SEQUENCE = {"StableDiffusion3": 256, "Flux": 512}  # diffusers' own max_sequence_length
_GUIDANCE = {"StableDiffusion": 7.5, "StableDiffusionXL": 5.0, "StableDiffusion3": 7.0, "Flux": 3.5}

Negative = Literal["guidance", "true_cfg_scale", "never"]


@dataclass(frozen=True, slots=True)
class Family:
    """What a pipeline supports."""

    pipeline: str  # diffusers class of its text-to-image pipeline
    multiple: int  # pixels; width and height are multiples of it
    unguided: str  # why `guidance_scale` changes nothing on this base; "" if it does
    negative: Negative  # what has to be above 1 for a negative prompt to be read
    sequence: int | None  # tokens that its long reader takes where the policy says nothing; None: no such
    strengths: Mapping[str, float]  # of "guidance", "true_cfg_scale" where the policy says nothing
    guided_above: float = 1.0  # `guidance_scale` that guides nothing yet
    obeys: bool = False  # it does what the policy asks only if it is told to (`as_written`)


def index_of(folder: Path) -> dict[str, Any]:
    """Return the content of model_index.json, or of a modular pipeline's index in its form."""
    if not (folder / "model_index.json").is_file():
        return modular.index_of(folder)
    found: dict[str, Any] = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    return found


def classes_of(folder: Path) -> tuple[tuple[str, ...], str]:
    """Return the classes of a pipeline's parts, and its own."""
    index = index_of(folder)
    parts = (value[1] for value in index.values() if isinstance(value, list) and len(value) == 2)
    return tuple(name for name in parts if isinstance(name, str)), str(index.get("_class_name"))


def has(index: Mapping[str, Any], part: str) -> bool:
    """Return whether a pipeline has a part; a missing one is saved as ``"text_encoder_3": [null, null]``."""
    value = index.get(part)
    return isinstance(value, list) and value[0] is not None


def family_of(folder: Path) -> Family:
    """Determine a base's family. Raises `ConfigError` if it is not a text-to-image pipeline."""
    index = index_of(folder)
    name = index.get("_class_name")
    known = _KNOWN.fullmatch(name) if isinstance(name, str) else None
    if known is None:
        return _inspected(folder, name)
    kind = known.group(1)
    denoiser = settings(folder, "transformer" if has(index, "transformer") else "unet")
    _check_channels(folder, denoiser, 4 if kind == "Flux" else 1)
    reads_far = has(index, "text_encoder_2" if kind == "Flux" else "text_encoder_3")
    pipeline = f"{kind}Pipeline"
    return Family(
        pipeline,
        _multiple(folder, pipeline),
        _unguided(pipeline, index, denoiser),
        _negative(kind, denoiser),
        _SEQUENCE.get(kind) if reads_far else None,
        {"guidance": _GUIDANCE[kind], "true_cfg_scale": 1.0},
    )


def settings(folder: Path, part: str) -> dict[str, Any]:
    """Return a part's config.json, or {} without one."""
    path = folder / part / "config.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _multiple(folder: Path, pipeline: str) -> int:
    """Return what width and height must be a multiple of: pixels per latent times latents per token."""
    transformer = settings(folder, "transformer")
    patch = transformer.get("patch_size", 2) if pipeline.startswith("StableDiffusion3") else None
    latents: int = patch or declared.PATCH.get(pipeline, 1)
    return max(8, declared.LATENT.get(pipeline, _pixels(settings(folder, "vae"))) * latents)


def _pixels(vae: Mapping[str, Any]) -> int:
    """Return the pixels of a row of latents, which each class of VAE states in another way."""
    if "spatial_compression_ratio" in vae:
        return int(vae["spatial_compression_ratio"])
    if "temperal_downsample" in vae:  # as diffusers spells it
        return int(2 ** len(vae["temperal_downsample"]))
    levels: Sequence[object] = vae.get("encoder_block_out_channels", vae.get("block_out_channels", range(4)))
    return int(2 ** (len(levels) - 1))


def _unguided(pipeline: str, index: Mapping[str, Any], denoiser: Mapping[str, Any]) -> str:
    if pipeline in declared.DISTILLED and index.get("is_distilled"):
        return "this base is distilled (is_distilled in model_index.json)"
    if pipeline in declared.EMBEDDED and not denoiser.get("guidance_embeds", pipeline.startswith("Flux")):
        what = "is distilled, as FLUX schnell" if pipeline.startswith("Flux") else "reads no guidance_scale"
        return f"this base {what} (guidance_embeds is false in its transformer)"
    return ""


def _negative(kind: str, denoiser: Mapping[str, Any]) -> Negative:
    if kind == "Flux":
        return "true_cfg_scale"
    return "guidance" if denoiser.get("time_cond_proj_dim") is None else "never"


def _check_channels(folder: Path, denoiser: Mapping[str, Any], packed: int) -> None:
    """Raise `ConfigError` for an inpainting model, which also needs a mask and a picture."""
    wants, latent = denoiser.get("in_channels"), settings(folder, "vae").get("latent_channels")
    if wants is not None and latent is not None and wants != packed * latent:
        raise ConfigError(
            f"base {folder}: it takes {wants} channels where its VAE has {packed * latent}, so it paints "
            "into pictures and makes none; name the text-to-image model it was made from"
        )


def _inspected(folder: Path, name: object) -> Family:
    """Determine the family of any other pipeline from its class."""
    pipeline = pipeline_class(folder, name)
    takes = {key: value.default for key, value in inspect.signature(pipeline.__call__).parameters.items()}
    negative: Negative = "guidance" if "negative_prompt" in takes else "never"
    if "true_cfg_scale" in takes:
        negative = "true_cfg_scale"
    keys = {"guidance": "guidance_scale", "true_cfg_scale": "true_cfg_scale"}
    strengths = {key: takes[call] for key, call in keys.items() if isinstance(takes.get(call), int | float)}
    sequence, index = takes.get("max_sequence_length"), index_of(folder)
    denoiser = settings(folder, "transformer" if has(index, "transformer") else "unet")
    unguided = _unguided(pipeline.__name__, index, denoiser)
    guidable = takes_guidance(index, takes, denoiser) or guides(pipeline)
    return Family(
        pipeline.__name__,
        _multiple(folder, pipeline.__name__),
        unguided or ("" if guidable else f"{pipeline.__name__} takes no guidance_scale"),
        "never" if unguided and negative == "guidance" else negative,
        sequence if isinstance(sequence, int) else None,
        strengths,
        declared.GUIDED_ABOVE.get(pipeline.__name__, 1.0),
        bool(takes.keys() & {*AS_WRITTEN, declared.AREA}),
    )


def pipeline_class(folder: Path, name: object) -> Any:
    """Return a pipeline's text-to-image class, as `AutoPipelineForText2Image` resolves it.

    Raises:
        ConfigError: It is no pipeline of this diffusers, or makes no image of a prompt alone.
    """
    diffusers: Any = importlib.import_module("diffusers")
    own = getattr(diffusers, name, None) if isinstance(name, str) else None
    if not (
        isinstance(own, type) and issubclass(own, (diffusers.DiffusionPipeline, diffusers.ModularPipeline))
    ):
        raise ConfigError(f"base {folder}: '{name}' is no pipeline of diffusers {diffusers.__version__}")
    if issubclass(own, diffusers.ModularPipeline):
        pipeline = modular.pipeline(folder, own)
    else:
        pipeline = task.text_to_image(own.__name__) or own
    if why := task.refusal(pipeline):
        raise ConfigError(f"base {folder}: {name} does not make an image of a prompt alone: {why}")
    return pipeline
