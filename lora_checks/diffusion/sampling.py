"""Sample pixels for image specs, in batches that fit into memory and with a VAE that does not overflow."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import GenerationError, NoRoomError
from lora_checks.core.records import ImageSpec, Sampler
from lora_checks.diffusion.base import declared
from lora_checks.diffusion.base.as_written import as_written
from lora_checks.diffusion.base.guiders import guided
from lora_checks.diffusion.base.memory import settle
from lora_checks.diffusion.decoder import Limits, Say, guarded
from lora_checks.diffusion.device_memory import free, out_of_memory
from lora_checks.diffusion.quantised.weights import without_gradients


@dataclass(frozen=True, slots=True)
class Sampled:
    """The pixels of one image and how they were made."""

    spec: ImageSpec
    pixels: NDArray[np.float32]  # (H, W, 3) in [0, 1]
    batch: int  # size of the batch that it was made in
    vae: str  # dtype of the decoding, such as "float32"


def sample(
    pipe: Any,
    specs: Sequence[ImageSpec],
    limits: Limits,
    say: Say,
    make_room: Callable[[], bool] = lambda: False,
) -> Iterator[Sampled]:
    """Yield the pixels of each spec, in order, in as few batches as memory allows. Pixels may be NaN.

    Args:
        pipe: The pipeline.
        specs: The images.
        limits: What was found out about this machine.
        say: Tells the user.
        make_room: Called when memory ran out, before a batch is halved: frees some, or returns False.

    Raises:
        NoRoomError: Memory does not hold a single image.
    """
    left = list(specs)
    while left:
        size = min(_together(pipe, left), limits.batch or len(left))
        try:
            pixels = _attempt(pipe, left[:size], limits, say)
        except NoRoomError:  # to decode: a smaller batch is of no use
            if not make_room():
                raise
            continue
        if pixels is None:
            settle(pipe)
            if not make_room():
                _halve(left[0], size, limits, say)
            continue
        vae = vae_format(pipe)
        for spec, image in zip(left[:size], pixels, strict=True):
            yield Sampled(spec, image, size, vae)
        left = left[size:]


def _together(pipe: Any, specs: Sequence[ImageSpec]) -> int:
    """Return how many of the first specs one batch can hold: no pixel may depend on what is beside it."""
    if type(pipe).__name__ not in declared.READS_PADDING:
        return len(specs)
    same = (spec.prompt.text == specs[0].prompt.text for spec in specs)
    return sum(1 for _ in takewhile(bool, same))


def vae_format(pipe: Any) -> str:
    """Return the dtype of the decoding: SDXL's pipeline casts a float16 VAE while it decodes."""
    vae: Any = getattr(pipe, "vae", None)
    upcast = hasattr(pipe, "upcast_vae") and getattr(vae.config, "force_upcast", False)
    dtype = str(getattr(vae, "dtype", "")).removeprefix("torch.")
    return "float32" if upcast and dtype == "float16" else dtype


def _attempt(pipe: Any, specs: Sequence[ImageSpec], limits: Limits, say: Say) -> NDArray[np.float32] | None:
    """Return the pixels, or None if memory ran out; the exception and its references are gone by then."""
    try:
        with guarded(pipe, specs[0], limits, say):
            return _call(pipe, specs)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return None


def _halve(spec: ImageSpec, size: int, limits: Limits, say: Say) -> None:
    if size == 1:
        raise NoRoomError(
            f"{spec.device} has not enough memory for one {spec.sampler.width}x{spec.sampler.height} image; "
            "close what else uses it, or pass --lora-offload model, --lora-save-memory vae-tiling or "
            "--lora-dtype float16"
        )
    limits.batch = size // 2
    say(f"memory holds no {size} images at a time: batches of {limits.batch} from here on")
    free(spec.device)


def _call(pipe: Any, specs: Sequence[ImageSpec]) -> NDArray[np.float32]:
    """Run the pipeline; return the pixels as (N, H, W, 3). Raises `GenerationError` for another size."""
    import torch

    # One generator per image, on the CPU: an image then does not depend on its batch or its device.
    generators = [torch.Generator("cpu").manual_seed(spec.seed) for spec in specs]
    sampler = specs[0].sampler
    with without_gradients(pipe):
        images = images_of(pipe, [spec.prompt.text for spec in specs], generators, sampler)
    _check_size(images, sampler)
    return images


def images_of(
    pipe: Any, texts: Sequence[str], generators: Sequence[Any], sampler: Sampler
) -> NDArray[np.float32]:
    """Return the images (N, H, W, 3) that a pipeline makes of ``texts``, whatever their size."""
    output = pipe(
        prompt=list(texts),
        generator=list(generators),
        output_type="np",
        **guided(pipe, arguments(sampler, len(texts))),
        **_as_asked(pipe, sampler),
    )
    images: NDArray[np.float32] = output.images if hasattr(output, "images") else output.image  # Kandinsky 5
    return images


def _as_asked(pipe: Any, sampler: Sampler) -> dict[str, Any]:
    """Return the arguments without which the pipeline would make another image than the policy asks for."""
    options = as_written(pipe)
    if sampler.guidance is None:
        options.pop("guidance_schedule", None)  # the pipeline's own default
    if declared.AREA in inspect.signature(pipe.__call__).parameters:
        options[declared.AREA] = sampler.width * sampler.height
    return options


def _check_size(images: NDArray[np.float32], sampler: Sampler) -> None:
    height, width = images.shape[1:3]
    if (width, height) != (sampler.width, sampler.height):
        raise GenerationError(
            f"the base made images of {width}x{height} where {sampler.width}x{sampler.height} was asked for"
        )


def arguments(sampler: Sampler, count: int) -> dict[str, Any]:
    """Return the arguments of a pipeline's call; the pipeline's defaults apply to all else."""
    options: dict[str, Any] = {
        "num_inference_steps": sampler.steps,
        "width": sampler.width,
        "height": sampler.height,
    }
    if sampler.guidance is not None:
        options["guidance_scale"] = sampler.guidance
    if sampler.negative or sampler.true_cfg_scale is not None:  # FLUX guides away from an empty prompt, too
        options["negative_prompt"] = [sampler.negative] * count
    if sampler.true_cfg_scale is not None:
        options["true_cfg_scale"] = sampler.true_cfg_scale
    if sampler.max_sequence_length is not None:
        options["max_sequence_length"] = sampler.max_sequence_length
    return options
