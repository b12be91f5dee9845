"""A base in a single file, and a VAE in place of its own: all of it arrives, or a sentence says what not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import vae_tensors, write_checkpoint
from safetensors.torch import load_file, save_file
from sampled import FolderOf, copied, images, loaded, prompts

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.core.records import Base
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight


@pytest.fixture(scope="module")
def checkpoint(family_folder: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(family_folder("SD 1.x"), tmp_path_factory.mktemp("file") / "tuned.safetensors")


@pytest.fixture(scope="module")
def config(family_folder: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings and tokenizer of the family, without a weight."""
    folder = tmp_path_factory.mktemp("config") / "sd"
    return Path(
        shutil.copytree(family_folder("SD 1.x"), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    )


def test_a_single_file_is_the_pipeline_that_it_was_made_of(
    family_folder: FolderOf, checkpoint: Path, config: Path
) -> None:
    said = prompts()
    base = resolve(Base(str(checkpoint), config=str(config)))
    assert preflight(base, said, Memory()) == ()
    single, whole = loaded(base, said), loaded(family_folder("SD 1.x"), said)
    for part in ("unet", "vae", "text_encoder"):
        ours, theirs = (getattr(pipe, part).state_dict() for pipe in (single, whole))
        assert all(torch.equal(ours[name], weight) for name, weight in theirs.items())
        assert len(theirs) > 30
    assert (images(single, said)[0].pixels == images(whole, said)[0].pixels).all()


@pytest.mark.parametrize(
    "leave_out",
    [
        "input_blocks.1.1.transformer_blocks.0.attn1.to_q",
        "first_stage_model",
        "cond_stage",
        "diffusion_model",
    ],
)
def test_a_single_file_that_lacks_weights(
    family_folder: FolderOf, config: Path, tmp_path: Path, leave_out: str
) -> None:
    path = write_checkpoint(family_folder("SD 1.x"), tmp_path / "part.safetensors", leave_out)
    with pytest.raises(GenerationError, match=r"part\.safetensors does not load: .*[wW]eights") as error:
        loaded(resolve(Base(str(path), config=str(config))), prompts())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", ["SD 2.x", "SDXL", "FLUX"])
def test_a_config_of_another_family(family_folder: FolderOf, checkpoint: Path, family: str) -> None:
    base = resolve(Base(str(checkpoint), config=str(family_folder(family))))
    with pytest.raises(GenerationError, match=r"tuned\.safetensors does not load: "):
        loaded(base, prompts())


def test_a_pipeline_directory_that_lacks_a_weight(family_folder: FolderOf, tmp_path: Path) -> None:
    folder = copied(family_folder("SD 1.x"), tmp_path / "base")
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    del weights["conv_out.weight"]
    save_file(weights, path)
    with pytest.raises(GenerationError, match=r"1 weights of unet are missing, such as conv_out\.weight"):
        loaded(folder, prompts())


# --- another VAE


def other_vae(folder: Path, to: Path) -> Path:
    """The base's VAE with its colours turned."""
    shutil.copytree(folder / "vae", to)
    path = to / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    weights["decoder.conv_out.weight"] = -weights["decoder.conv_out.weight"]
    save_file(weights, path)
    return to


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_the_vae_of_the_policy_decodes(family_folder: FolderOf, tmp_path: Path, kind: str) -> None:
    folder, said = family_folder("SD 1.x"), prompts()
    vae = other_vae(folder, tmp_path / "vae")
    if kind == "file":
        turned = loaded(folder, said).vae.from_pretrained(vae)
        save_file(vae_tensors(turned), tmp_path / "vae.safetensors")
        vae = tmp_path / "vae.safetensors"
    base = resolve(Base(str(folder), vae=str(vae)))
    preflight(base, said, Memory())
    made, own = images(loaded(base, said), said)[0].pixels, images(loaded(folder, said), said)[0].pixels
    assert np.abs(made - own).max() > 0.1


def test_a_vae_of_another_family(family_folder: FolderOf, tmp_path: Path) -> None:
    vae = copied(family_folder("SD3"), tmp_path / "base", vae={"latent_channels": 16}) / "vae"
    base = resolve(Base(str(family_folder("SD 1.x")), vae=str(vae)))
    with pytest.raises(ConfigError, match="has 16 latent channels where this base has 4"):
        preflight(base, prompts(), Memory())
