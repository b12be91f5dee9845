"""Bases of every family load as what they are, and what they would ignore is refused before they load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sampled import FolderOf, checked, copied, guidance, images, loaded, prompts

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.diffusion.base import ResolvedBase

CLASSES = {
    "SD 1.x": "StableDiffusionPipeline",
    "SD 2.x": "StableDiffusionPipeline",
    "SDXL": "StableDiffusionXLPipeline",
    "SD3": "StableDiffusion3Pipeline",
    "FLUX": "FluxPipeline",
    "FLUX schnell": "FluxPipeline",
}


@pytest.mark.parametrize("family", CLASSES)
def test_an_image_of_each_family_does_not_depend_on_its_batch(family_folder: FolderOf, family: str) -> None:
    said = prompts(guidance=guidance(family))
    assert checked(family_folder(family), said) == ()
    pipe = loaded(family_folder(family), said)
    assert type(pipe).__name__ == CLASSES[family]
    both, alone = images(pipe, said, 2), images(pipe, said, 1)
    assert both[0].pixels.shape == (32, 32, 3)
    assert np.abs(both[0].pixels - alone[0].pixels).max() < 1 / 255
    assert np.abs(both[0].pixels - both[1].pixels).max() > 0.1


@pytest.mark.parametrize(
    ("family", "saved"),
    [
        ("SD 1.x", "StableDiffusionImg2ImgPipeline"),
        ("SD 1.x", "StableDiffusionInpaintPipeline"),
        ("SDXL", "StableDiffusionXLInpaintPipeline"),
        ("FLUX", "FluxImg2ImgPipeline"),
    ],
)
def test_the_text_to_image_pipeline_of_another_task(
    family_folder: FolderOf, tmp_path: Path, family: str, saved: str
) -> None:
    """`AutoPipelineForText2Image` resolves them so."""
    said = prompts()
    folder = copied(family_folder(family), tmp_path / "base", model_index={"_class_name": saved})
    assert checked(folder, said) == ()
    assert type(loaded(folder, said)).__name__ == CLASSES[family]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "StableVideoDiffusionPipeline",
            "StableVideoDiffusionPipeline does not make an image of a prompt",
        ),
        ("FluxFillPipeline", "FluxFillPipeline does not make an image of a prompt alone"),
        ("StableDiffusionControlNetPipeline", "does not make an image of a prompt alone"),
        ("StableDiffusionUpscalePipeline", "does not make an image of a prompt alone"),
        ("UNet2DConditionModel", "'UNet2DConditionModel' is no pipeline of diffusers"),
        ("MyPipeline", "'MyPipeline' is no pipeline of diffusers"),
        (None, "'None' is no pipeline of diffusers"),
        (["custom", "MyPipeline"], "is no pipeline of diffusers"),
    ],
)
def test_a_base_that_makes_no_image_of_a_prompt(
    family_folder: FolderOf, tmp_path: Path, name: object, message: str
) -> None:
    folder = copied(family_folder("SD 1.x"), tmp_path / "base", model_index={"_class_name": name})
    with pytest.raises(ConfigError, match=message):
        checked(folder, prompts())


def test_a_pipeline_that_is_known_only_to_diffusers(family_folder: FolderOf, tmp_path: Path) -> None:
    """Perturbed-attention guidance is another class on the same weights; what it takes is asked of it."""
    index = {"_class_name": "StableDiffusionPAGPipeline"}
    folder = copied(family_folder("SD 1.x"), tmp_path / "base", model_index=index)
    said = prompts(negative="blurry")
    assert checked(folder, said) == ()
    assert images(loaded(folder, said), said)[0].pixels.std() > 0.02


def test_an_inpainting_model_is_refused_before_it_loads(family_folder: FolderOf, tmp_path: Path) -> None:
    folder = copied(family_folder("SD 1.x"), tmp_path / "base", unet={"in_channels": 9})
    with pytest.raises(ConfigError, match="takes 9 channels where its VAE has 4"):
        checked(folder, prompts())


@pytest.mark.parametrize(
    ("family", "sampler", "message"),
    [
        ("FLUX schnell", {"guidance": 3.5}, "2: sampler.guidance: this base is distilled, as FLUX schnell"),
        ("FLUX", {"negative": "dark"}, "2: sampler.negative: this base would not read a negative prompt; "
         "remove it or set 'true_cfg_scale' above 1"),
        ("FLUX", {"negative": "dark", "true_cfg_scale": 1.0}, "2: sampler.negative: "),
        ("SDXL", {"negative": "dark", "guidance": 1.0}, "2: sampler.negative: .* or set 'guidance' above 1"),
        ("SDXL", {"true_cfg_scale": 2.0}, "2: sampler.true_cfg_scale: StableDiffusionXLPipeline does not kn"),
        ("SD 2.x", {"max_sequence_length": 200}, "2: sampler.max_sequence_length: this base has no T5"),
    ],
)  # fmt: skip
def test_what_the_base_would_ignore(
    family_folder: FolderOf, family: str, sampler: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^prompts.yaml:{message}"):
        checked(family_folder(family), prompts(**sampler))


@pytest.mark.parametrize(("family", "multiple"), [("FLUX", 16), ("SD3", 16), ("SDXL", 8), ("SD 1.x", 8)])
def test_a_size_is_a_multiple_of_what_the_base_takes(
    family_folder: FolderOf, tmp_path: Path, family: str, multiple: int
) -> None:
    """Real VAEs have four levels, so a latent row is eight pixels; FLUX would round without an error."""
    levels = {"block_out_channels": [32, 32, 32, 32]}
    folder = copied(family_folder(family), tmp_path / "base", vae=levels)
    assert checked(folder, prompts(width=5 * multiple)) == ()
    with pytest.raises(ConfigError, match=f"sampler.height: must be a multiple of {multiple} on this"):
        checked(folder, prompts(height=5 * multiple + multiple // 2))


def test_flux_guides_away_from_a_negative_prompt_with_true_cfg_scale(family_folder: FolderOf) -> None:
    folder = family_folder("FLUX")
    made = []
    for sampler in ({}, {"true_cfg_scale": 3.0}, {"true_cfg_scale": 3.0, "negative": "dark"}):
        said = prompts(**sampler)
        assert checked(folder, said) == ()
        made.append(images(loaded(folder, said), said)[0].pixels)
    assert np.abs(made[0] - made[1]).max() > 0.02  # away from the empty prompt
    assert np.abs(made[1] - made[2]).max() > 0.005


def test_t5_reads_as_far_as_the_policy_says(family_folder: FolderOf) -> None:
    made = []
    for length in (None, 256, 24):
        said = prompts(max_sequence_length=length)
        made.append(images(loaded(family_folder("SD3"), said), said)[0].pixels)
    assert (made[0] == made[1]).all()  # diffusers' own number
    assert np.abs(made[1] - made[2]).max() > 0.001


def test_a_base_that_is_not_one_of_its_files(family_folder: FolderOf, tmp_path: Path) -> None:
    folder = copied(family_folder("SD 1.x"), tmp_path / "base")
    (folder / "unet" / "config.json").write_text("{}")
    base = ResolvedBase(folder, "id", "label")
    with pytest.raises(GenerationError, match="does not load: "):
        loaded(base, prompts())
