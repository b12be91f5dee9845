"""Where the base lies and what exactly it is; nothing here may reach a network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from lora_checks import base
from lora_checks.errors import ConfigError, PrerequisiteError
from lora_checks.records import Base

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
    assert "huggingface-cli download team/other" in text
    assert "--base" in text
    assert "\n" not in text


def test_an_interrupted_download_is_not_taken_for_the_base(hub: Path) -> None:
    (hub / "unet" / "weights.safetensors").rename(hub / "unet" / "config.json")
    with pytest.raises(
        PrerequisiteError, match=r"team/base is not on this machine .* \(HF_HUB_OFFLINE is set\)"
    ):
        base.resolve(Base("team/base"))


def test_a_download_that_fails_is_one_sentence(client: Callable[[object], None]) -> None:
    client(RuntimeError("many\nlines\nof a client"))
    with pytest.raises(PrerequisiteError, match=r"could not be downloaded \(RuntimeError\); run `hugg"):
        base.resolve(Base("team/other"))


def test_a_download_that_is_not_complete(client: Callable[[object], None], hub: Path) -> None:
    (hub / "unet" / "weights.safetensors").unlink()
    client(hub)
    with pytest.raises(PrerequisiteError, match=r"\(the download is not complete\)"):
        base.resolve(Base("team/base"))


def test_a_download_is_pinned_to_its_commit(client: Callable[[object], None], hub: Path) -> None:
    client(hub)
    assert base.resolve(Base("team/other")).identity == f"team/other@{COMMIT}"
