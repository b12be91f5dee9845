"""Inception: exported once, then run without torch; wrong weights are named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lora_checks.core.errors import PrerequisiteError
from lora_checks.networks.inception import Inception


def test_the_second_run_needs_no_torch(
    inception: Inception, photos: list[np.ndarray], tmp_path: Path
) -> None:
    first = inception.images(photos[:1])
    assert inception.cache is not None
    (kept,) = inception.cache.iterdir()
    assert kept.suffix == ".onnx"
    np.save(tmp_path / "photo.npy", photos[0])
    np.save(tmp_path / "first.npy", first)
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from lora_checks.networks.inception import Inception\n"
        f"folder = Path({str(tmp_path)!r})\n"
        f"settings, cache = {{'file': {str(inception.file)!r}}}, Path({str(inception.cache)!r})\n"
        "again = Inception(settings, 'cpu', cache=cache).images([np.load(folder / 'photo.npy')])\n"
        "np.testing.assert_array_equal(again, np.load(folder / 'first.npy'))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_sizes_may_differ(inception: Inception, photos: list[np.ndarray]) -> None:
    features = inception.images([photos[0], photos[1][:70, :50]])
    assert features.shape == (2, 2048)
    assert features.dtype == np.float32


def test_a_device_looks_at_eight_pictures_at_a_time(inception: Inception, photos: list[np.ndarray]) -> None:
    """torch's name for the same processor stands for a card; on "cpu" ONNX Runtime computes."""
    device = Inception({"file": str(inception.file)}, "cpu:0")
    passes: list[int] = []
    device._module.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    sizes = ((70, 50), (64, 64), (50, 70))
    pictures = [photos[i % 2][: sizes[i % 3][0], : sizes[i % 3][1]] for i in range(11)]
    found = device.images(pictures)
    assert passes == [8, 8]  # always full, so that no value depends on how many are asked for
    np.testing.assert_array_equal(device.images(pictures[8:]), found[8:])
    np.testing.assert_allclose(found, inception.images(pictures), rtol=1e-3, atol=1e-4)
    assert device.images([]).shape == (0, 2048)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint"])
def test_a_wrong_file_is_named(content: bytes, photos: list[np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    network = Inception({"file": str(tmp_path / "w.pth")}, "cpu")
    with pytest.raises(PrerequisiteError, match=r"w\.pth does not hold the weights of pytorch-fid's"):
        network.images(photos[:1])


def test_weights_of_another_network_are_named(alex_file: Path, photos: list[np.ndarray]) -> None:
    with pytest.raises(PrerequisiteError, match=r"alex\.pth does not hold the weights of pytorch-fid's"):
        Inception({"file": str(alex_file)}, "cpu").images(photos[:1])


def test_only_the_published_weights_carry_its_name(inception: Inception) -> None:
    assert inception.label == "Inception v3 with inception.pth"
