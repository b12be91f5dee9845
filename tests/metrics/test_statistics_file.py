"""Files of mean and covariance: what is written, what is refused, and why."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lora_checks.core.errors import ConfigError, MeasureError, StoreError
from lora_checks.core.store import Store
from lora_checks.images.decoding import Pixels
from lora_checks.images.sets import image_set
from lora_checks.metrics.statistics_file import read_statistics, write_statistics
from lora_checks.networks import Floats


class Brightness:
    id = "brightness/1"
    label = "mean of each channel"

    def images(self, pixels: Any) -> Floats:
        return np.array([self._of(image) for image in pixels], np.float32)

    def _of(self, image: Pixels) -> Any:
        return image.mean(axis=(0, 1))


def _write(folder: Path, out: Path) -> None:
    write_statistics(
        image_set("references", folder).images, out, Brightness(), Store(folder.parent / "store")
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "pictures"
    path.mkdir()
    for i in range(5):
        Image.new("RGB", (40, 40), (i * 10, 255 - i * i, 7 * i)).save(path / f"{i}.png")
    return path


def test_holds_what_was_measured(folder: Path, tmp_path: Path) -> None:
    _write(folder, tmp_path / "s.npz")
    found = read_statistics(tmp_path / "s.npz", "brightness/1")
    colours = np.array([(i * 10, 255 - i * i, 7 * i) for i in range(5)], float)
    np.testing.assert_allclose(found.mu, colours.mean(axis=0))
    np.testing.assert_allclose(found.sigma, np.cov(colours, rowvar=False))
    assert (found.n, found.network) == (5, "brightness/1")
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["s.npz"]


def test_is_not_compared_with_another_network(folder: Path, tmp_path: Path) -> None:
    _write(folder, tmp_path / "s.npz")
    with pytest.raises(ConfigError, match=r"was made with brightness/1, and the policy names inception/1"):
        read_statistics(tmp_path / "s.npz", "inception/1")


def test_one_picture_has_no_covariance(folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.iterdir())[1:]:
        path.unlink()
    with pytest.raises(MeasureError, match="at least 2 images"):
        _write(folder, tmp_path / "s.npz")
    assert not (tmp_path / "s.npz").exists()


def test_a_full_disk_leaves_nothing_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    _write(folder, tmp_path / "pictures.npz")  # what the network computed is stored
    (tmp_path / "pictures.npz").unlink()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"s\.npz: cannot be written: No space left on device"):
        _write(folder, tmp_path / "s.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures", "store"]


def test_the_name_must_end_in_npz(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ends in \.npz"):
        _write(folder, tmp_path / "s.zip")


GOOD = {"mu": np.zeros(2), "sigma": np.eye(2)}


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"mu": np.zeros(2)}, "lacks sigma; it holds mu"),
        ({"x": np.zeros(2)}, "lacks mu and sigma"),
        (GOOD | {"mu": np.array(["a", "b"])}, "mu is of <U1"),
        (GOOD | {"sigma": np.eye(3)}, r"sigma \(3, 3\)"),
        (GOOD | {"mu": np.array([0, np.nan])}, "NaN"),
        (GOOD | {"sigma": np.array([[1.0, 2.0], [0.0, 1.0]])}, "not symmetric"),
    ],
)
def test_a_wrong_file_is_named(arrays: dict[str, np.ndarray], problem: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ConfigError, match=problem):
        read_statistics(tmp_path / "s.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive", b"\x93NUMPY", None])
def test_a_file_that_is_no_archive_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "s.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"s\.npz: (is not an \.npz|cannot be read)"):
        read_statistics(path)


def test_a_single_array_is_no_archive(tmp_path: Path) -> None:
    with (tmp_path / "s.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ConfigError, match=r"is not an \.npz"):
        read_statistics(tmp_path / "s.npz")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    np.savez(tmp_path / "s.npz", mu=np.array([Path("x")], dtype=object), sigma=np.eye(1))
    with pytest.raises(ConfigError, match=r"is not an \.npz"):
        read_statistics(tmp_path / "s.npz")
