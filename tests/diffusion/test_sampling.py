"""Memory that is short and VAEs that overflow: the run goes on, says so once, and records it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sampled import FolderOf, loaded, prompts, specs

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion.sampling import Limits, Sampled, arguments, sample


class Short:
    """A pipeline on a device that holds ``room`` images; pixels say which call made them."""

    def __init__(self, room: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        self.room, self.error = room, error
        self.sizes: list[int] = []

    def __call__(self, *, prompt: list[str], generator: list[torch.Generator], **_: Any) -> Any:
        self.sizes.append(len(prompt))
        if len(prompt) > self.room:
            raise self.error("CUDA out of memory. Tried to allocate 2.00 GiB")
        seeds = np.array([one.initial_seed() for one in generator], np.float32)
        return SimpleNamespace(
            images=np.ones((len(prompt), 32, 32, 3), np.float32) * seeds[:, None, None, None]
        )


def made(pipe: Any, count: int, limits: Limits, said: list[str]) -> list[Sampled]:
    return list(sample(pipe, specs(prompts(), count), limits, said.append))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_the_size_that_fits_is_remembered_and_said_once(error: type[RuntimeError]) -> None:
    """torch has its own class for CUDA; MPS raises RuntimeError."""
    pipe, limits, said = Short(3, error), Limits(), list[str]()
    first = made(pipe, 8, limits, said)
    assert pipe.sizes == [8, 4, 2, 2, 2, 2]
    assert [int(one.pixels[0, 0, 0]) for one in first] == list(range(8))  # none twice, none left out
    assert {one.batch for one in first} == {2}
    second = made(pipe, 5, limits, said)
    assert pipe.sizes[6:] == [2, 2, 1]
    assert [one.batch for one in second] == [2, 2, 2, 2, 1]
    assert said == [
        "memory holds no 8 images at a time: batches of 4 from here on",
        "memory holds no 4 images at a time: batches of 2 from here on",
    ]


def test_no_room_for_a_single_image() -> None:
    with pytest.raises(
        GenerationError, match=r"cpu has not enough memory for one 32x32 image; .*--lora-offload"
    ):
        made(Short(0), 4, Limits(), [])


def test_another_error_is_not_taken_for_it() -> None:
    class Broken(Short):
        def __call__(self, **_: Any) -> Any:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        made(Broken(9), 2, Limits(), [])


def swollen(pipe: Any) -> Any:
    """The decoder's first convolution leaves float16; a norm follows, so that float32 decodes as ever."""
    with torch.no_grad():
        weight = pipe.vae.decoder.conv_in.weight
        weight.mul_(8000 / weight.abs().max())
        pipe.vae.decoder.conv_in.bias.zero_()
    return pipe


@pytest.mark.parametrize("family", ["SD 1.x", "SD3", "FLUX"])
def test_a_vae_that_overflows_decodes_in_float32(family_folder: FolderOf, family: str) -> None:
    folder, limits, said = family_folder(family), Limits(), list[str]()
    pipe = swollen(loaded(folder, prompts(), "float16"))
    denoiser, calls = getattr(pipe, "unet", None) or pipe.transformer, list[int]()
    denoiser.register_forward_pre_hook(lambda *_: calls.append(1))
    first = made(pipe, 2, limits, said)
    assert len(calls) == prompts().sampler.steps  # decoded again, and not denoised again
    assert said == ["the VAE of this base overflows in float16: it decodes in float32 from here on"]
    assert {one.vae for one in first} == {"float32"}
    whole = made(swollen(loaded(folder, prompts())), 2, Limits(), [])
    apart = max(np.abs(a.pixels - b.pixels).max() for a, b in zip(first, whole, strict=True))
    assert apart < 0.1  # the same pictures, but for what float16 does to the latents
    assert denoiser.dtype is torch.float16
    again = made(
        swollen(loaded(folder, prompts(), "float16")), 2, limits, said
    )  # the pipeline was loaded anew
    assert len(said) == 1
    assert all((a.pixels == b.pixels).all() for a, b in zip(first, again, strict=True))


def test_sdxl_s_own_upcasting_does_not_clash(family_folder: FolderOf) -> None:
    """`force_upcast` in the VAE's config: its pipeline decodes in float32 by itself."""
    limits, said = Limits(), list[str]()
    pipe = swollen(loaded(family_folder("SDXL"), prompts(), "float16"))
    assert pipe.vae.config.force_upcast
    found = made(pipe, 2, limits, said)
    assert np.isfinite(found[0].pixels).all()
    assert (said, limits.float32_vae, found[0].vae) == ([], False, "float32")
    pipe.vae.register_to_config(force_upcast=False)
    switched = made(pipe, 2, limits, said)
    assert (len(said), switched[0].vae) == (1, "float32")
    assert np.abs(found[0].pixels - switched[0].pixels).max() < 0.02


@pytest.mark.parametrize("family", ["SD 1.x", "SDXL"])
def test_what_is_not_the_vae_s_fault_leaves_it_as_it_was(family_folder: FolderOf, family: str) -> None:
    limits, said = Limits(), list[str]()
    pipe = loaded(family_folder(family), prompts(), "float16")
    good = made(pipe, 1, limits, said)
    denoiser = pipe.unet.conv_out
    kept = denoiser.bias.detach().clone()
    with torch.no_grad():
        denoiser.bias.fill_(float("nan"))
    assert np.isnan(made(pipe, 1, limits, said)[0].pixels).any()
    with torch.no_grad():
        denoiser.bias.copy_(kept)
    assert (said, limits.float32_vae, pipe.vae.dtype) == ([], False, torch.float16)
    assert (made(pipe, 1, limits, said)[0].pixels == good[0].pixels).all()


def test_only_what_the_policy_says_is_passed_on() -> None:
    plain = {"num_inference_steps": 2, "guidance_scale": 3.0, "width": 32, "height": 32}
    assert arguments(prompts().sampler, 2) == plain
    said = prompts(negative="dark", true_cfg_scale=2.0, max_sequence_length=128).sampler
    more = {"negative_prompt": ["dark", "dark"], "true_cfg_scale": 2.0, "max_sequence_length": 128}
    assert arguments(said, 2) == plain | more
