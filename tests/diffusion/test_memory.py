"""Ways to save memory make the same images, or say that they are others."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sampled import FolderOf, checked, images, loaded, prompts

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.diffusion.base.memory import Memory, fetch_back, place, save_memory


@pytest.mark.parametrize("family", ["SD 1.x", "FLUX"])
@pytest.mark.parametrize(
    "memory",
    [Memory("model"), Memory(save=("vae-slicing",)), Memory(save=("vae-tiling",))],
    ids=["offload", "slicing", "tiling"],
)
def test_ways_to_save_memory_make_the_same_images(
    family_folder: FolderOf, family: str, memory: Memory
) -> None:
    """Offloading's hooks run on a CPU, too. A picture this small is a single tile."""
    said = prompts()
    pipe = loaded(family_folder(family), said, memory=memory)
    plain = images(loaded(family_folder(family), said), said, 2)
    for _ in range(2):
        made = images(pipe, said, 2)
        assert max(np.abs(a.pixels - b.pixels).max() for a, b in zip(made, plain, strict=True)) < 1 / 255
        fetch_back(pipe, memory)
        place(pipe, "cpu", memory)


def test_tiles_are_another_picture(family_folder: FolderOf) -> None:
    said = prompts(width=64, height=64)
    pipe = loaded(family_folder("SD 1.x"), said, memory=Memory(save=("vae-tiling",)))
    assert pipe.vae.use_tiling
    pipe.vae.tile_latent_min_size, pipe.vae.tile_sample_min_size = 16, 32
    plain = images(loaded(family_folder("SD 1.x"), said), said)[0].pixels
    assert np.abs(images(pipe, said)[0].pixels - plain).max() > 1 / 255


def test_attention_that_cannot_be_sliced(family_folder: FolderOf) -> None:
    memory = Memory(save=("attention-slicing",))
    assert checked(family_folder("SDXL"), prompts(), memory) == ()
    with pytest.raises(ConfigError, match="--lora-save-memory attention-slicing: this base has no UNet"):
        checked(family_folder("FLUX"), prompts(), memory)


def test_a_vae_that_cannot_be_tiled() -> None:
    with pytest.raises(
        GenerationError, match="--lora-save-memory vae-tiling: Identity of this base cannot do it"
    ):
        save_memory(SimpleNamespace(vae=torch.nn.Identity()), Memory(save=("vae-tiling",)), "cpu")
