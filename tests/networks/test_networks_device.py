"""A network computes on the card that torch computes on, and its numbers are stored apart from a CPU's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from lora_checks.core import device
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.networks import build, device_of, on_device
from lora_checks.networks.arcface import ArcFace
from lora_checks.networks.features import all_distances, image_features, paired_distances, text_features
from lora_checks.networks.runtime import no_search, provider_options

CUDA = "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("device", "options"),
    [("cpu", {}), ("mps", {}), ("cuda", {}), ("cuda:0", {"device_id": "0"}), ("cuda:3", {"device_id": "3"})],
)
def test_the_same_card(device: str, options: dict[str, str]) -> None:
    assert provider_options(device) == [options]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What ONNX Runtime was started with; it says that it has CUDA, and does not start."""
    calls: list[Any] = []

    def start(_self: Any, *_: Any, **options: Any) -> None:
        calls.append((options["providers"], options["provider_options"]))
        raise RuntimeError("there is no card here")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime.InferenceSession, "__init__", start)
    return calls


def test_faces_are_found_on_that_card(face_root: Path, avatars: list[np.ndarray], started: list[Any]) -> None:
    network = ArcFace({"root": str(face_root), "pack": "miniature"}, "cuda:1")
    with pytest.raises(Exception, match="no card here"):
        network.images(avatars[:1])
    assert started == [([CUDA], [{"device_id": "1"}])]


class Shades:
    """All kinds of a network at once; counts what it computes."""

    id, label = "shades/1", "shades"

    def __init__(self) -> None:
        self.asked = 0

    def images(self, pixels: Any) -> Any:
        self.asked += len(pixels)
        return np.array([[picture.mean()] for picture in pixels], np.float32)

    def texts(self, texts: Any) -> Any:
        self.asked += len(texts)
        return np.array([[len(text)] for text in texts], np.float32)

    def distances(self, x: Any, y: Any) -> Any:
        self.asked += len(x)
        return np.zeros((len(x), len(y)), np.float32)

    def paired(self, x: Any, _: Any) -> Any:
        self.asked += len(x)
        return np.zeros(len(x), np.float32)


def computed(store: Store, images: tuple[ImageFile, ...], device: str | None) -> int:
    network: Any = Shades() if device is None else on_device(Shades(), device)
    image_features(images, network, store)
    text_features(["a"], network, store)
    all_distances(images, images, network, store)
    paired_distances(images, images, network, store)
    return int(network.asked)


def test_numbers_of_a_cpu_and_a_gpu_never_mix(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (8, 8), "teal").save(tmp_path / "pictures" / "a.png")
    images = image_set("references", tmp_path / "pictures").images
    assert computed(store, images, None) == 4
    assert computed(store, images, "cpu") == 0  # at the addresses of before
    assert computed(store, images, "cuda:1") == 4
    assert computed(store, images, "cuda") == 0
    assert computed(store, images, "mps") == 4


def test_a_network_knows_its_device(face_root: Path) -> None:
    settings = {"root": str(face_root), "pack": "miniature"}
    assert device_of(build("arcface", settings, "cpu")) == "cpu"
    assert device_of(build("arcface", settings, "mps")) == "mps"


def test_the_policy_names_another_device_for_one_network(
    face_root: Path, avatars: list[np.ndarray], started: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "_devices", lambda: ["cuda", "cuda:0", "cuda:1", "cpu"])
    settings = {"root": str(face_root), "pack": "miniature"}
    network = build("arcface", settings | {"device": "cpu"}, "cuda")
    assert device_of(network) == "cpu"
    assert network.id == build("arcface", settings, "cpu").id
    other: Any = build("arcface", settings | {"device": "cuda:1"}, "cpu")
    assert device_of(other) == "cuda"
    with pytest.raises(PrerequisiteError, match="no card here"):
        other.images(avatars[:1])
    assert started == [([CUDA], [{"device_id": "1"}])]


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ("gpu", ConfigError, r"networks: arcface: device: 'gpu' is not a device; use auto, cpu"),
        (
            "cuda:1",
            PrerequisiteError,
            r"networks: arcface: device: there is no cuda:1 on this machine; it has",
        ),
    ],
)
def test_a_device_that_is_not_there(asked: str, error: type[Exception], words: str, face_root: Path) -> None:
    settings = {"root": str(face_root), "pack": "miniature", "device": asked}
    with pytest.raises(error, match=words):
        build("arcface", settings, "cpu")


def test_a_search_for_the_fastest_convolution_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with no_search():
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.benchmark
