"""A network of one's own, ONNX or TorchScript, and DINO: what they are given, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from own_networks import SIZE, onnx_file, torchscript_file

from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.networks import build


@pytest.fixture(params=["onnx", "torchscript"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    make = onnx_file if request.param == "onnx" else torchscript_file
    trusted = {"trusted": True} if request.param == "torchscript" else {}
    return {"kind": request.param, "file": str(make(tmp_path / "mine.bin")), "size": SIZE, **trusted}


def picture(height: int = SIZE, width: int = SIZE) -> np.ndarray:
    """Red rises from left to right, green is 100, blue 0."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, :, 0] = np.linspace(0, 255, width).round()
    pixels[:, :, 1] = 100
    return pixels


def test_pixels_are_rgb_in_the_range_of_the_settings(settings: dict[str, Any]) -> None:
    plain = build("mine", settings, "cpu")
    expected = picture().mean(axis=(0, 1)) / 255
    np.testing.assert_allclose(plain.images([picture()] * 3), [expected] * 3, atol=1e-5)
    scaled = build("mine", settings | {"mean": [0.5, 0.4, 0], "std": [0.5, 0.1, 2]}, "cpu")
    shifted = (expected - [0.5, 0.4, 0]) / [0.5, 0.1, 2]
    np.testing.assert_allclose(scaled.images([picture()]), [shifted], atol=1e-5)
    assert scaled.id != plain.id
    assert plain.label == "mine"
    assert build("mine", settings | {"name": "the lab's"}, "cpu").label == "the lab's"


def test_cropped_or_squashed(settings: dict[str, Any]) -> None:
    """A crop cuts off the dark outer fifth; squashing keeps it."""
    wide = np.full((SIZE, 5 * SIZE, 3), 255, np.uint8)
    wide[:, :SIZE] = 0
    crop = build("mine", settings, "cpu").images([wide])
    squash = build("mine", settings | {"fit": "squash"}, "cpu").images([wide])
    np.testing.assert_allclose(crop, 1, atol=1e-6)
    np.testing.assert_allclose(squash, 0.8, atol=0.01)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"size": None}, "size: must be a number"),
        ({"size": "224"}, "size: must be a number from 8 to 4096, not '224'"),
        ({"mean": 0.5}, "mean: must be three numbers"),
        ({"std": [1, 1, 0]}, "std: must be above 0"),
        ({"fit": "pad"}, "fit: 'pad' is not one of crop, squash"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"networks: {settings['kind']}: {problem}"):
        build("mine", settings | change, "cpu")


@pytest.mark.parametrize("key", ["file", "size"])
def test_required_settings(settings: dict[str, Any], key: str) -> None:
    del settings[key]
    with pytest.raises(ConfigError, match=f"{key}: is not given; name the"):
        build("mine", settings, "cpu")


def test_a_file_without_a_network_is_refused(settings: dict[str, Any]) -> None:
    Path(settings["file"]).write_bytes(b"not a network")
    with pytest.raises(PrerequisiteError, match=r"mine\.bin cannot be loaded"):
        build("mine", settings, "cpu").images([picture()])


def test_an_unsupported_size_is_refused(tmp_path: Path) -> None:
    network = build("mine", {"kind": "onnx", "file": str(onnx_file(tmp_path / "m.onnx")), "size": 64}, "cpu")
    with pytest.raises(MeasureError, match=r"m\.onnx cannot take \(1, 3, 64, 64\)"):
        network.images([picture()])


def test_a_script_that_takes_another_size_says_why(tmp_path: Path) -> None:
    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(3 * 8 * 8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.line(x.flatten(1))

    torch.jit.trace(Flat(), torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "m.pt"))
    settings = {"kind": "torchscript", "file": str(tmp_path / "m.pt"), "size": SIZE, "trusted": True}
    with pytest.raises(
        MeasureError, match=r"m\.pt cannot take \(1, 3, 32, 32\): .*shapes cannot be multiplied"
    ):
        build("mine", settings, "cpu").images([picture()])


def test_a_network_of_two_inputs_is_refused(tmp_path: Path) -> None:
    model = onnx.load(onnx_file(tmp_path / "m.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("age", TensorProto.FLOAT, [1]))
    onnx.save(model, tmp_path / "m.onnx")
    settings = {"kind": "onnx", "file": str(tmp_path / "m.onnx"), "size": SIZE}
    with pytest.raises(ConfigError, match=r"m\.onnx takes image, age; it must take one input, the picture"):
        build("mine", settings, "cpu").images([picture()])


def test_one_of_several_outputs_has_to_be_named(tmp_path: Path) -> None:
    settings = {
        "kind": "onnx",
        "file": str(onnx_file(tmp_path / "m.onnx", ("mean", "negative"))),
        "size": SIZE,
    }
    with pytest.raises(ConfigError, match=r"output: name one of mean, negative of m\.onnx"):
        build("mine", settings, "cpu").images([picture()])
    mean = build("mine", settings | {"output": "mean"}, "cpu").images([picture()])
    negative = build("mine", settings | {"output": "negative"}, "cpu").images([picture()])
    np.testing.assert_array_equal(negative, -mean)


def test_features_that_are_not_a_row_are_refused(tmp_path: Path) -> None:
    settings = {"kind": "onnx", "file": str(onnx_file(tmp_path / "m.onnx", ("pooled",))), "size": SIZE}
    with pytest.raises(MeasureError, match=r"gives \(1, 3, 1, 1\) for one picture; it must give \(1, D\)"):
        build("mine", settings, "cpu").images([picture()])


def dino_folder(folder: Path, **config: object) -> Path:
    (folder / "config.json").write_text(json.dumps({"model_type": "vit", **config}))
    (folder / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    return folder


def test_a_missing_dino_names_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    with pytest.raises(PrerequisiteError, match="download it with `hf download facebook/dino-vits16`"):
        build("dino", {}, "cpu")
    with pytest.raises(PrerequisiteError, match="hf download facebook/dinov2-small"):
        build("dinov2", {"kind": "dino", "model": "facebook/dinov2-small"}, "cpu")


def test_a_dino_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"has no config\.json"):
        build("dino", {"path": str(tmp_path)}, "cpu")
    with pytest.raises(ConfigError, match="is a clip, not one of vit, dinov2"):
        build("dino", {"path": str(dino_folder(tmp_path, model_type="clip"))}, "cpu")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(PrerequisiteError, match="has no weights"):
        build("dino", {"path": str(tmp_path)}, "cpu")
    with pytest.raises(ConfigError, match="'path' already names the model"):
        build("dino", {"path": str(tmp_path), "model": "facebook/dino-vits16"}, "cpu")


def test_a_dino_never_continues_with_random_weights(tmp_path: Path) -> None:
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    network = build("dino", {"path": str(dino_folder(tmp_path, **small))}, "cpu")
    with pytest.raises(PrerequisiteError, match=r"lacks the weight .*; download it again"):
        network.images([np.zeros((64, 64, 3), np.uint8)])
