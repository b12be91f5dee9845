"""Image specs -> pixels, in batches that the memory holds and a VAE that does not overflow."""

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
    """What a run has found out about its machine; it outlives the pipeline, which may be loaded again."""

    batch: int | None = None  # the largest number of images that memory was seen to hold, once it was short
    float32_vae: bool = False


@dataclass(frozen=True, slots=True)
class Sampled:
    spec: ImageSpec
    pixels: NDArray[np.float32]  # (H, W, 3) in [0, 1]
    batch: int  # images made at a time, this one among them
    vae: str  # "float32": the number format that it was decoded in


def sample(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> Iterator[Sampled]:
    """In the order of ``specs``, in one batch or in as many as memory needs.

    Raises `GenerationError` if there is no room for a single image. Pixels may be NaN.
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
    """What images are decoded in: SDXL's pipeline casts a float16 VAE for the time of the decoding."""
    vae: Any = getattr(pipe, "vae", None)
    upcast = hasattr(pipe, "upcast_vae") and getattr(vae.config, "force_upcast", False)
    found = str(getattr(vae, "dtype", "")).removeprefix("torch.")
    return "float32" if upcast and found == "float16" else found


def _attempt(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> NDArray[np.float32] | None:
    """None where memory was short. The exception is gone when this returns, and with it what it held."""
    try:
        return _finite(pipe, specs, limits, say)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        return None


def out_of_memory(error: RuntimeError) -> bool:
    """torch has a class for CUDA; MPS and the CPU only say so."""
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
    """Give back what torch keeps for later; without it the next attempt has no more room than this one."""
    gc.collect()
    if device.startswith("cuda"):
        import torch

        torch.cuda.empty_cache()


def _finite(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> NDArray[np.float32]:
    """float16 ends at 65504, and the VAEs of SD 1.x and XL exceed it: NaN is tried again in float32."""
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
    """(N, H, W, 3)."""
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
    """Of a pipeline's call. What the policy does not say is left to the pipeline."""
    found: dict[str, Any] = {
        "num_inference_steps": sampler.steps,
        "guidance_scale": sampler.guidance,
        "width": sampler.width,
        "height": sampler.height,
    }
    if sampler.negative or sampler.true_cfg_scale is not None:  # FLUX guides away from an empty prompt, too
        found["negative_prompt"] = [sampler.negative] * count
    if sampler.true_cfg_scale is not None:
        found["true_cfg_scale"] = sampler.true_cfg_scale
    if sampler.max_sequence_length is not None:
        found["max_sequence_length"] = sampler.max_sequence_length
    return found
