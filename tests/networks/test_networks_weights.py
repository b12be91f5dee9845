"""What every network checks before it is loaded: settings, files, and what its id is made of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.files import file_sha256
from lora_checks.networks import KINDS, build
from lora_checks.networks.weights import identity


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_setting_is_an_error(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"networks: {kind}: unknown setting 'flie'"):
        build(kind, {"flie": "x"}, "cpu")


def test_the_nearest_setting_is_suggested() -> None:
    with pytest.raises(ConfigError, match="unknown setting 'det_sise'; did you mean 'det_size'"):
        build("arcface", {"det_sise": 640}, "cpu")


@pytest.mark.parametrize(
    ("kind", "settings", "hint"),
    [
        ("clip", {"model": "ViT-B-32-quickgelu", "pretrained": "openai"}, "python -c"),
        ("inception", {}, "download https://.*/pt_inception-2015-12-05-6726825d.pth to .*/hub/checkpoints"),
        ("arcface", {}, "unpack https://.*/buffalo_l.zip into .*/models/buffalo_l"),
        ("lpips", {}, "download https://download.pytorch.org/models/alexnet-owt-7be5be79.pth to"),
        ("lpips", {"net": "vgg"}, "vgg16-397923af.pth"),
    ],
)
def test_weights_that_are_missing_are_named_with_what_to_do(
    kind: str, settings: dict[str, Any], hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    with pytest.raises(PrerequisiteError, match=hint):
        build(kind, settings, "cpu")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("clip", {"path": "/nowhere"}),
        ("clip", {"model": "ViT-B-32", "file": "/nowhere"}),
        ("inception", {"file": "/nowhere"}),
        ("arcface", {"root": "/nowhere"}),
        ("lpips", {"trunk_file": "/nowhere"}),
        ("trunk", {"file": "/nowhere"}),
    ],
)
def test_a_local_path_must_exist(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(PrerequisiteError, match="/nowhere"):
        build(kind, settings, "cpu")


@pytest.mark.parametrize(
    ("kind", "settings", "problem"),
    [
        ("arcface", {"det_size": 100}, "multiple of 32"),
        ("arcface", {"det_size": "640"}, "must be a number from 32 to 4096, not '640'"),
        ("arcface", {"det_thresh": 2}, "from 0 to 1, not 2"),
        ("arcface", {"pad": True}, "must be a number"),
        ("arcface", {"pack": "../x"}, "name of a folder"),
        ("lpips", {"net": "alexnet"}, "not one of alex, vgg, squeeze"),
        ("lpips", {"version": "1.0"}, "'1.0' is not one of 0.1"),
        ("trunk", {}, "name the safetensors file"),
        ("trunk", {"file": 3}, "must be a path, not 3"),
    ],
)
def test_a_wrong_setting_is_named(kind: str, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"networks: {kind}: .*{problem}"):
        build(kind, settings, "cpu")


def test_the_id_follows_the_weights_and_the_label_says_what_they_are(tmp_path: Path) -> None:
    first, second = tmp_path / "a.pth", tmp_path / "b.pth"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    a, b, c = (build("lpips", {"trunk_file": str(path)}, "cpu") for path in (first, second, first))
    assert a.id == c.id != b.id
    assert file_sha256(first)[:16] in a.id
    assert str(tmp_path) not in a.id
    assert a.label == "LPIPS alex v0.1 with a.pth"  # not the published weights


def test_the_id_does_not_depend_on_the_order_of_settings() -> None:
    assert identity("k", "1", {"a": 1, "b": 2}, ["0"]) == identity("k", "1", {"b": 2, "a": 1}, ["0"])


def test_construction_imports_no_torch(
    clip_folder: Path, inception_file: Path, alex_file: Path, trunk_file: Path, tmp_path: Path
) -> None:
    pack = tmp_path / "models" / "pack"
    pack.mkdir(parents=True)
    (pack / "det.onnx").touch()
    settings = {
        "clip": {"path": str(clip_folder)},
        "inception": {"file": str(inception_file)},
        "arcface": {"root": str(tmp_path), "pack": "pack"},
        "lpips": {"trunk_file": str(alex_file)},
        "trunk": {"file": str(trunk_file)},
    }
    code = (
        "import sys; from lora_checks.networks import build\n"
        f"for kind, chosen in {settings!r}.items(): build(kind, chosen, 'cpu')\n"
        "print(sorted({'torch', 'onnxruntime', 'cv2', 'scipy', 'insightface'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
