"""Sample pixels for image specs, in batches that fit into memory and with a VAE that does not overflow."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import ImageSpec, Sampler

Say = Callable[[str], None]


@dataclass
class Limits:
    """Limits of this machine found during a run; they stay valid when the pipeline is reloaded."""

    batch: int | None = None  # largest batch that fits, once memory ran out
    float32_vae: bool = False


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pixels of one image and how they were made."""

    spec: ImageSpec
    pixels: NDArray[np.float32]  # (H, W, 3) in [0, 1]
    batch: int  # size of the batch that it was made in
    vae: str  # dtype of the decoding, such as "float32"


def sample(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> Iterator[Sampled]:
    """Yield the pixels of each spec, in order, in as few batches as memory allows. Pixels may be NaN.

    Raises:
        GenerationError: Memory does not hold a single image.
    """
    left = list(specs)
    while left:
        size = min(len(left), limits.batch or len(left))
        pixels = _attempt(pipe, left[:size], limits, say)
        if pixels is None:
            _halve(left[0], size, limits, say)
            continue
        vae = vae_format(pipe)
        for spec, image in zip(left[:size], pixels, strict=True):
            yield Sampled(spec, image, size, vae)
        left = left[size:]


def vae_format(pipe: Any) -> str:
    """Return the dtype of the decoding: SDXL's pipeline casts a float16 VAE while it decodes."""
    vae: Any = getattr(pipe, "vae", None)
    upcast = hasattr(pipe, "upcast_vae") and getattr(vae.config, "force_upcast", False)
    dtype = str(getattr(vae, "dtype", "")).removeprefix("torch.")
    return "float32" if upcast and dtype == "float16" else dtype


def _attempt(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> NDArray[np.float32] | None:
    """Return the pixels, or None if memory ran out; the exception and its references are gone by then."""
    try:
        return _finite(pipe, specs, limits, say)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return None


def out_of_memory(error: RuntimeError) -> bool:
    """Return whether memory ran out: torch has a class for CUDA, but only a message for MPS and the CPU."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def _halve(spec: ImageSpec, size: int, limits: Limits, say: Say) -> None:
    if size == 1:
        raise GenerationError(
            f"{spec.device} has not enough memory for one {spec.sampler.width}x{spec.sampler.height} image; "
            "close what else uses it, or pass --lora-offload model, --lora-save-memory vae-tiling or "
            "--lora-dtype float16"
        )
    limits.batch = size // 2
    say(f"memory holds no {size} images at a time: batches of {limits.batch} from here on")
    free(spec.device)


def free(device: str) -> None:
    """Release the memory that torch caches; otherwise the next attempt has no more room than this one."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def _finite(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> NDArray[np.float32]:
    """Sample again with a float32 VAE if pixels are NaN: VAEs of SD 1.x and XL exceed float16's 65504."""
    import torch

    if limits.float32_vae:
        use_float32_vae(pipe)
    pixels = _call(pipe, specs)
    vae = getattr(pipe, "vae", None)
    if np.isfinite(pixels).all() or vae is None or vae.dtype is not torch.float16 or _is_elsewhere(vae):
        return pixels
    use_float32_vae(pipe)
    again = _call(pipe, specs)
    limits.float32_vae = bool(np.isfinite(again).all())
    if limits.float32_vae:
        say("the VAE of this base overflows in float16: it decodes in float32 from here on")
    else:  # it was not the VAE: what is made after this must not be another picture because of it
        vae.to(torch.float16)
        del vae.decode
    return again


def _is_elsewhere(module: Any) -> bool:
    """Offloaded layer by layer: its weights are placeholders, whose format cannot be changed."""
    return any(weight.is_meta for weight in module.parameters())


def use_float32_vae(pipe: Any) -> None:
    """Latents come in the pipeline's own format, and its pipelines do not cast them."""
    import torch

    vae = pipe.vae
    if vae.dtype is torch.float32:
        return
    vae.to(torch.float32)
    decode = vae.decode
    vae.decode = lambda latents, *rest, **options: decode(latents.to(torch.float32), *rest, **options)


def _call(pipe: Any, specs: Sequence[ImageSpec]) -> NDArray[np.float32]:
    """Run the pipeline; return the pixels as (N, H, W, 3)."""
    import torch

    # One generator per image, on the CPU: an image then does not depend on its batch or its device.
    generators = [torch.Generator("cpu").manual_seed(spec.seed) for spec in specs]
    with torch.inference_mode():
        images: NDArray[np.float32] = pipe(
            prompt=[spec.prompt.text for spec in specs],
            generator=generators,
            output_type="np",
            **arguments(specs[0].sampler, len(specs)),
        ).images
    return images


def arguments(sampler: Sampler, count: int) -> dict[str, Any]:
    """Return the arguments of a pipeline's call; the pipeline's defaults apply to all else."""
    options: dict[str, Any] = {
        "num_inference_steps": sampler.steps,
        "guidance_scale": sampler.guidance,
        "width": sampler.width,
        "height": sampler.height,
    }
    if sampler.negative or sampler.true_cfg_scale is not None:  # FLUX guides away from an empty prompt, too
        options["negative_prompt"] = [sampler.negative] * count
    if sampler.true_cfg_scale is not None:
        options["true_cfg_scale"] = sampler.true_cfg_scale
    if sampler.max_sequence_length is not None:
        options["max_sequence_length"] = sampler.max_sequence_length
    return options
