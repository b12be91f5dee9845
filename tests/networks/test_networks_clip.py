"""CLIP: which weights, which activation, and texts that are too long."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.networks.clip import Clip


@pytest.fixture(scope="module")
def clip(clip_folder: Path) -> Clip:
    return Clip({"path": str(clip_folder)}, "cpu")


def test_is_named_for_people_as_told(clip: Clip, clip_folder: Path) -> None:
    assert clip.label == "CLIP tiny (local)"
    named = Clip({"path": str(clip_folder), "name": "the test's CLIP"}, "cpu")
    assert (named.label, named.id) == ("the test's CLIP", clip.id)


def test_features_are_raw(clip: Clip, photos: list[np.ndarray]) -> None:
    x = clip.images([*photos, photos[0][:40], *photos])
    assert x.shape == (13, 16)
    assert x.dtype == np.float32
    assert not np.allclose(np.linalg.norm(x, axis=1), 1)
    np.testing.assert_allclose(x[:6], x[7:], atol=1e-6)


def test_a_text_that_would_be_cut_is_refused(clip: Clip) -> None:
    fits, longer = " ".join(["dog"] * 18), " ".join(["dog"] * 19)
    assert clip.texts([fits]).shape == (1, 16)
    with pytest.raises(MeasureError, match=r"'dog dog .*' has 21 tokens and CLIP reads 20"):
        clip.texts(["dog", longer])


def test_a_tokenizer_of_its_own_counts_the_same_way(clip_folder: Path, tmp_path: Path) -> None:
    """The folder contains a Hugging Face tokenizer, as the miniature's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<s>": 0, "</s>": 1, "<unk>": 2, "dog": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    folder = shutil.copytree(clip_folder, tmp_path / "words")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="</s>", unk_token="<unk>"
    )
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["text_cfg"]["hf_tokenizer_name"] = "words"
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    clip = Clip({"path": str(folder)}, "cpu")
    assert clip.texts([" ".join(["dog"] * 18)]).shape == (1, 16)
    with pytest.raises(MeasureError, match="has 21 tokens and CLIP reads 20"):
        clip.texts([" ".join(["dog"] * 19)])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "without weights the model would be random"),
        ({"model": "ViT-B-32-quickgelu"}, "without weights the model would be random"),
        ({"pretrained": "openai"}, "without weights the model would be random"),
        ({"model": "ViT-B-32", "pretrained": "openai"}, "name the model 'ViT-B-32-quickgelu'"),
        ({"model": "ViT-B-23", "pretrained": "openai"}, "no 'ViT-B-23'; did you mean 'ViT-B-32'"),
        ({"model": "ViT-B-32", "pretrained": "opnai"}, "ViT-B-32 has no 'opnai'; known: .*laion2b"),
        ({"path": ".", "model": "ViT-B-32"}, "'path' already names the model; remove model"),
    ],
)
def test_a_model_must_be_named_with_its_weights(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Clip(settings, "cpu")


@pytest.mark.parametrize(
    ("missing", "problem"),
    [
        ("open_clip_config.json", "has no open_clip_config.json"),
        ("open_clip_model.safetensors", "has no weights"),
    ],
)
def test_a_folder_must_be_complete(missing: str, problem: str, clip_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "copy")
    (folder / missing).unlink()
    with pytest.raises(PrerequisiteError, match=problem):
        Clip({"path": str(folder)}, "cpu")


def test_damaged_weights_are_one_sentence(
    clip_folder: Path, tmp_path: Path, photos: list[np.ndarray]
) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "copy")
    (folder / "open_clip_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        Clip({"path": str(folder)}, "cpu").images(photos)


def test_the_id_follows_every_file_of_the_folder(clip: Clip, clip_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip_folder, tmp_path / "copy")
    assert Clip({"path": str(folder)}, "cpu").id == clip.id
    (folder / "tokenizer.json").write_text("{}")
    assert Clip({"path": str(folder)}, "cpu").id != clip.id


def test_a_tokenizer_from_the_hub_must_be_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(PrerequisiteError, match=r"tokenizer of ViT-B-16-SigLIP .*get_tokenizer\('ViT-B-16"):
        Clip({"model": "ViT-B-16-SigLIP", "pretrained": "webli"}, "cpu")


def test_weights_of_a_tag_come_from_the_cache_with_its_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip
    from huggingface_hub import constants

    repository = tmp_path / "models--timm--vit_base_patch32_clip_224.openai"
    file = repository / "snapshots" / "abc" / "open_clip_model.safetensors"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    asked: dict[str, Any] = {}

    def create(name: str, **options: Any) -> tuple[Any, Any]:
        asked.update(options, name=name)
        raise RuntimeError("stop here")

    monkeypatch.setattr(open_clip, "create_model_from_pretrained", create)
    clip = Clip({"model": "ViT-B-32-quickgelu", "pretrained": "openai"}, "cpu")
    assert clip.label == "CLIP ViT-B-32-quickgelu (openai)"
    with pytest.raises(PrerequisiteError, match="stop here"):
        clip.images([np.zeros((8, 8, 3), np.uint8)])
    assert asked["name"] == "ViT-B-32-quickgelu"
    assert asked["pretrained"] == str(file)
    assert asked["image_mean"] == open_clip.OPENAI_DATASET_MEAN
    assert asked["image_interpolation"] == "bicubic"
