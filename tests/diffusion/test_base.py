"""Where the base lies and what exactly it is; nothing here may reach a network."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.records import Base
from lora_checks.diffusion import base

COMMIT = "3f2a91" + "0" * 34
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["diffusers", "X"],
    "feature_extractor": [None, None],
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    folder = tmp_path / "miniature" / "pipeline"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps(INDEX))
    (folder / "unet" / "weights.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds team/base, laid out as huggingface_hub does it; its snapshot."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    snapshot = cache / "models--team--base" / "snapshots" / COMMIT
    (snapshot / "unet").mkdir(parents=True)
    (snapshot / "model_index.json").write_text(json.dumps(INDEX))
    (snapshot / "unet" / "weights.safetensors").write_bytes(b"weights")
    refs = cache / "models--team--base" / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMIT)
    return snapshot


@pytest.fixture
def client(hub: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Puts a download in the place of diffusers' own: what it returns or raises."""
    del hub
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def becomes(result: object) -> None:
        def download(_model: str, **_: object) -> object:
            if isinstance(result, Exception):
                raise result
            return str(result)

        pipeline = SimpleNamespace(download=download)
        monkeypatch.setitem(sys.modules, "diffusers", SimpleNamespace(DiffusionPipeline=pipeline))

    return becomes


def test_a_local_base_is_named_by_all_its_files(pipeline: Path) -> None:
    first = base.resolve(Base(str(pipeline)))
    assert first.folder == pipeline
    assert first.label == f"miniature/pipeline {first.identity[:6]}"
    (pipeline / "README.md").write_text("words")
    assert base.resolve(Base(str(pipeline))).identity == first.identity
    (pipeline / "unet" / "weights.safetensors").write_bytes(b"Weights")
    assert base.resolve(Base(str(pipeline))).identity != first.identity


def test_the_same_base_elsewhere_is_the_same_base(pipeline: Path, tmp_path: Path) -> None:
    before = base.resolve(Base(str(pipeline))).identity
    moved = pipeline.rename(tmp_path / "sd-mini")
    after = base.resolve(Base(str(moved)))
    assert (after.identity, after.label) == (before, f"sd-mini {before[:6]}")


def test_a_folder_that_is_no_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no model_index\.json there; name a diffusers pipeline directory"):
        base.resolve(Base(str(tmp_path)))


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_cached_hub_id_is_found_offline_and_pinned(hub: Path, revision: str | None) -> None:
    found = base.resolve(Base("team/base", revision))
    assert found.folder == hub
    assert found.identity == f"team/base@{COMMIT}"
    assert found.label == "team/base 3f2a91"


def test_a_hub_id_that_is_not_here_says_what_to_do(hub: Path) -> None:
    del hub
    with pytest.raises(PrerequisiteError) as error:
        base.resolve(Base("team/other", "v2"))
    text = str(error.value)
    assert text.startswith("base model team/other@v2 is not on this machine and could not be downloaded (")
    assert "hf download team/other" in text
    assert "--lora-base" in text
    assert "\n" not in text


def test_an_interrupted_download_is_not_taken_for_the_base(hub: Path) -> None:
    (hub / "unet" / "weights.safetensors").rename(hub / "unet" / "config.json")
    with pytest.raises(
        PrerequisiteError, match=r"team/base is not on this machine .* \(HF_HUB_OFFLINE is set\)"
    ):
        base.resolve(Base("team/base"))


def test_a_download_that_fails_is_one_sentence(client: Callable[[object], None]) -> None:
    client(RuntimeError("many\nlines\nof a client"))
    with pytest.raises(PrerequisiteError, match=r"could not be downloaded \(RuntimeError\); run `hf d"):
        base.resolve(Base("team/other"))


def test_a_download_that_is_not_complete(client: Callable[[object], None], hub: Path) -> None:
    (hub / "unet" / "weights.safetensors").unlink()
    client(hub)
    with pytest.raises(PrerequisiteError, match=r"\(the download is not complete\)"):
        base.resolve(Base("team/base"))


def test_a_download_is_pinned_to_its_commit(client: Callable[[object], None], hub: Path) -> None:
    client(hub)
    assert base.resolve(Base("team/other")).identity == f"team/other@{COMMIT}"


# --- a single checkpoint, and another VAE


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Names and shapes are all that is read of it here."""
    path = tmp_path / "tuned.safetensors"
    save_file({"model.diffusion_model.out.2.bias": np.zeros(4, np.float32)}, path)
    return path


def test_a_checkpoint_is_named_by_itself_and_its_settings(checkpoint: Path, pipeline: Path) -> None:
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    settings = base.resolve(Base(str(pipeline))).identity
    found = base.resolve(Base(str(checkpoint), config=str(pipeline)))
    assert found.identity == f"{sha256} config {settings}"
    assert (found.file, found.folder, found.label) == (checkpoint, pipeline, f"tuned {sha256[:6]}")


def test_settings_may_come_from_the_hub_without_weights(checkpoint: Path, hub: Path) -> None:
    (hub / "unet" / "weights.safetensors").rename(hub / "unet" / "config.json")
    found = base.resolve(Base(str(checkpoint), config=f"team/base@{COMMIT}"))
    assert found.identity.endswith(f" config team/base@{COMMIT}")
    assert found.folder == hub


def test_settings_that_diffusers_would_ask_the_hub_for(checkpoint: Path, hub: Path) -> None:
    """Without `config:`; what it takes a checkpoint for is decided by names and shapes of tensors."""
    del hub
    with pytest.raises(PrerequisiteError) as error:
        base.resolve(Base(str(checkpoint)))
    text = str(error.value)
    assert text.startswith(
        "base tuned.safetensors: stable-diffusion-v1-5/stable-diffusion-v1-5, which has its"
    )
    assert "(HF_HUB_OFFLINE is set); name a pipeline folder of its family with 'config:' under base:" in text


def test_an_sdxl_checkpoint_asks_for_sdxl(tmp_path: Path, hub: Path) -> None:
    del hub
    key = "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias"
    save_file({key: np.zeros(1280, np.float32)}, tmp_path / "xl.safetensors")
    with pytest.raises(PrerequisiteError, match=r"stabilityai/stable-diffusion-xl-base-1\.0, which has its"):
        base.resolve(Base(str(tmp_path / "xl.safetensors")))


def test_a_checkpoint_that_is_none(tmp_path: Path, pipeline: Path) -> None:
    path = tmp_path / "page.safetensors"
    path.write_bytes(b"<!DOCTYPE html><html>")
    with pytest.raises(ConfigError, match=r"^base .*page\.safetensors: ") as error:
        base.resolve(Base(str(path), config=str(pipeline)))
    assert "\n" not in str(error.value)


def vae_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    return folder


def test_another_vae_is_another_base(pipeline: Path, tmp_path: Path) -> None:
    own = base.resolve(Base(str(pipeline)))
    vae = vae_folder(tmp_path / "soft")
    found = base.resolve(Base(str(pipeline), vae=str(vae)))
    assert found.identity.startswith(f"{own.identity} vae ")
    assert found.label.startswith(f"{own.label} with VAE soft ")
    assert (found.folder, found.vae) == (pipeline, vae)
    (vae / "diffusion_pytorch_model.safetensors").write_bytes(b"Weights")
    assert base.resolve(Base(str(pipeline), vae=str(vae))).identity != found.identity


def test_a_pipeline_lends_its_vae(pipeline: Path, tmp_path: Path) -> None:
    vae = vae_folder(tmp_path / "other" / "vae")
    assert base.resolve(Base(str(pipeline), vae=str(vae.parent))).vae == vae


def test_a_folder_without_a_vae(pipeline: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no config\.json with \.safetensors weights there, nor in a folder 'v"
    ):
        base.resolve(Base(str(pipeline), vae=str(tmp_path)))


@pytest.mark.parametrize("place", ["", "vae"])
def test_a_vae_on_the_hub_is_pinned(pipeline: Path, hub: Path, place: str) -> None:
    if place:
        vae_folder(hub / "vae")
    else:
        (hub / "config.json").write_text("{}")
        (hub / "diffusion_pytorch_model.safetensors").write_bytes(b"weights")
    found = base.resolve(Base(str(pipeline), vae="team/base@main"))
    assert found.vae == hub / place
    assert found.identity.endswith(f" vae team/base@{COMMIT}")


def test_a_vae_that_is_not_on_this_machine(pipeline: Path, hub: Path) -> None:
    del hub
    with pytest.raises(
        PrerequisiteError, match=r"^the VAE team/vae is not on this machine and could not be do"
    ):
        base.resolve(Base(str(pipeline), vae="team/vae"))
