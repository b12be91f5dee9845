"""The first denoising step of an image: what the base predicts with these settings, without the rest.

A pipeline hands every prediction, guided as it may be, to its scheduler. The first one is taken there and the
call is ended, so that no VAE decodes and the scale of the noise does not hide a small change.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import Sampler
from lora_checks.diffusion.device_memory import out_of_memory
from lora_checks.diffusion.quantised.weights import without_gradients
from lora_checks.diffusion.sampling import images_of

SMALL = 64  # pixels; a multiple of what any known base rounds to


@dataclass(frozen=True, slots=True)
class FirstStep:
    """What a base predicts in the first step."""

    prediction: NDArray[np.float32]  # flat
    timesteps: tuple[float, ...]  # of the whole image; () where the pipeline has no scheduler


class _Enough(Exception):
    """The first step was taken."""


def small(sampler: Sampler) -> Sampler:
    """Return the same settings at a size as small as tells whether a base rounds the policy's size.

    Rounding to a multiple of 64 or a divisor of it changes a size exactly if it changes its remainder.
    """
    width, height = (min(pixels, SMALL + pixels % SMALL) for pixels in (sampler.width, sampler.height))
    return replace(sampler, width=width, height=height)


def first_step(pipe: Any, text: str, sampler: Sampler) -> FirstStep:
    """Run a pipeline up to the end of its first denoising step, or whole where that cannot be seen.

    Raises:
        GenerationError: The prediction is not finite.
        Exception: Whatever the pipeline raises.
    """
    taken: list[tuple[Any, tuple[float, ...]]] = []
    with _ending_after_first_step(pipe, taken):
        try:
            images = _run(pipe, text, sampler)
            prediction, timesteps = taken[0] if taken else (images, ())
        except _Enough:
            prediction, timesteps = taken[0]
        finally:
            pipe.maybe_free_model_hooks()  # a call that is cut off leaves offloaded weights on the device
    if not np.isfinite(prediction).all():
        raise GenerationError(
            "the base predicts values that are not finite (NaN) in the first step; it is damaged, or "
            "overflows in this format: pass --lora-dtype bfloat16 or float32"
        )
    return FirstStep(np.ravel(prediction), timesteps)


def whole(pipe: Any, text: str, sampler: Sampler) -> tuple[tuple[int, int], int]:
    """Make an image in a single step.

    Returns:
        Its width and height, and the number of its timesteps; 0 where one step is too few for the scheduler.
    """
    try:
        images, steps = _run(pipe, text, replace(sampler, steps=1)), len(_timesteps(pipe))
    except Exception as error:  # of any kind, deep inside a scheduler
        if out_of_memory(error):
            raise
        images, steps = _run(pipe, text, sampler), 0
    height, width = images.shape[1:3]
    return (width, height), steps


def _run(pipe: Any, text: str, sampler: Sampler) -> NDArray[np.float32]:
    import torch

    generator = [torch.Generator("cpu").manual_seed(0)]
    with without_gradients(pipe):
        return images_of(pipe, [text], generator, sampler)


@contextmanager
def _ending_after_first_step(pipe: Any, taken: list[tuple[Any, tuple[float, ...]]]) -> Iterator[None]:
    scheduler: Any = getattr(pipe, "scheduler", None)
    if not hasattr(scheduler, "step"):
        yield
        return
    step = scheduler.step

    @functools.wraps(step)  # pipelines look at its signature
    def end(*inputs: Any, **named: Any) -> Any:
        output = inputs[0] if inputs else named["model_output"]
        taken.append((output.detach().float().cpu().numpy(), _timesteps(pipe)))
        raise _Enough

    scheduler.step = end
    try:
        yield
    finally:
        del scheduler.step


def _timesteps(pipe: Any) -> tuple[float, ...]:
    timesteps: Sequence[Any] | None = getattr(getattr(pipe, "scheduler", None), "timesteps", None)
    return () if timesteps is None else tuple(float(step) for step in timesteps)
