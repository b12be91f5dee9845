"""Capture the fixed inputs of the proof: what a pipeline passes to its networks for one small image."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from lora_checks.core.errors import GenerationError, first_line
from lora_checks.diffusion.base.as_written import as_written

PROMPT = "a photo of a person in a red shirt and three birds"  # within 24 tokens, too
LATENT = 16  # rows and columns; with 8 the lowest level of an SD 1.x UNet would be one point
STEPS = 2  # only the first is begun; with one, some schedulers start where no noise is left
TOKENS = 64  # T5 reads as many as it is told to: 512 would cost more than the image


@dataclass(frozen=True, slots=True)
class Inputs:
    """The arguments that the pipeline passed to a network's forward pass."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    def run(self, module: Any) -> Any:
        return module(*self.args, **self.kwargs)


class _Reached(Exception):
    """Raised when every denoiser was called, because the rest of the image is not needed."""


def capture(pipe: Any, modules: Mapping[str, Any]) -> dict[str, Inputs]:
    """The first call of each of ``modules`` in a seeded run of the pipeline up to its last denoiser.

    A pipeline may have two, as Ideogram 4 has, one for each half of its guidance. Nothing is assumed of a
    network's signature, so this works for every text-to-image pipeline. The pipeline's scheduler is left as
    it was. Raises `GenerationError` if the pipeline cannot run.
    """
    found: dict[str, Inputs] = {}
    denoisers = {name for name in modules if not name.startswith("text_encoder")}
    with ExitStack() as stack:
        for name, module in modules.items():
            hook = module.register_forward_pre_hook(_recorder(name, found, denoisers), with_kwargs=True)
            stack.callback(hook.remove)
        stack.enter_context(_borrowed_scheduler(pipe))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        try:
            pipe(**_settings(pipe, modules))
        except _Reached:
            pass
        except Exception as error:  # any error in the base's own code
            raise GenerationError(
                f"the base could not be run on a small image to prove the LoRA: {first_line(error)}"
            ) from error
    return found


def _recorder(name: str, found: dict[str, Inputs], denoisers: Set[str]) -> Any:
    def hook(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        found.setdefault(name, Inputs(args, kwargs))
        if name in denoisers and denoisers <= found.keys():
            raise _Reached

    return hook


@contextmanager
def _borrowed_scheduler(pipe: Any) -> Iterator[None]:
    """A run sets the scheduler's steps; the next image must find its own."""
    scheduler = pipe.scheduler
    pipe.scheduler = copy.deepcopy(scheduler)
    try:
        yield
    finally:
        pipe.scheduler = scheduler


def _settings(pipe: Any, modules: Mapping[str, Any]) -> dict[str, Any]:
    """Those that this pipeline knows; with a guidance of 1 the denoiser runs on one image and not on two."""
    import torch

    side = getattr(pipe, "vae_scale_factor", 8) * _rows(modules)
    wanted = {
        "prompt": PROMPT,
        "height": side,
        "width": side,
        "num_frames": 1,  # of a video's base
        "num_inference_steps": STEPS,
        "guidance_scale": 1.0,
        "max_sequence_length": TOKENS,
        "generator": torch.Generator("cpu").manual_seed(0),
        "output_type": "latent",
    }
    known = inspect.signature(pipe.__call__).parameters
    return {name: value for name, value in wanted.items() if name in known} | as_written(pipe)


def _rows(modules: Mapping[str, Any]) -> int:
    """Return the rows of the latent: few, and no more than the base supports."""
    sizes = [getattr(module.config, "sample_size", None) for module in modules.values()]
    return min([LATENT, *(size for size in sizes if isinstance(size, int))])
