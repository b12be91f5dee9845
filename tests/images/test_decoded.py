"""Pictures are decoded once for all networks, ahead of their use, and within a limit of memory."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.images import decoded, decoding
from lora_checks.images.decoded import Decoded, Recent
from lora_checks.images.decoding import Pixels
from lora_checks.images.sets import image_set
from lora_checks.networks.features import all_distances, image_features

WAIT = 30  # seconds until a thread that does not come is a failure


def pictures(folder: Path, count: int, shade: int = 0) -> tuple[ImageFile, ...]:
    folder.mkdir()
    for i in range(count):
        Image.new("RGB", (8, 8), (shade, i, 0)).save(folder / f"{i:02}.png")
    return image_set("x", folder).images


class Means:
    """A network of images and of pairs."""

    label = "means"

    def __init__(self, id: str) -> None:
        self.id = id

    def images(self, pixels: Decoded) -> np.ndarray:
        return np.array([[image.mean()] for image in pixels], np.float32)

    def distances(self, x: Decoded, y: Decoded) -> np.ndarray:
        return np.array([[a.mean() - b.mean() for b in y] for a in x], np.float32)

    def paired(self, x: Decoded, y: Decoded) -> np.ndarray:
        return np.array([a.mean() - b.mean() for a, b in zip(x, y, strict=True)], np.float32)


def test_a_picture_is_decoded_once_for_all_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def decode(image: ImageFile) -> Pixels:
        counts[image.sha256] += 1
        return decoding.pixels_of(image)

    monkeypatch.setattr(decoded, "_RECENT", Recent(decode))
    store, generated, references = (
        Store(tmp_path / "store"),
        pictures(tmp_path / "generated", 20),
        pictures(tmp_path / "references", 9, shade=200),
    )
    for name in ("first", "second"):
        image_features(generated, Means(name), store)
        image_features(references, Means(name), store)
        all_distances(generated, references, Means(name), store)
    assert len(counts) == 29
    assert set(counts.values()) == {1}


def test_the_next_picture_is_decoded_while_this_one_is_used(tmp_path: Path) -> None:
    images, begun = pictures(tmp_path / "x", 4), {name: threading.Event() for name in range(4)}

    def decode(image: ImageFile) -> Pixels:
        begun[int(image.name[:2])].set()
        return decoding.pixels_of(image)

    recent = Recent(decode)
    recent.get(images[0], images[1:3])
    assert all(begun[i].wait(WAIT) for i in range(3))
    assert not begun[3].is_set()


def test_two_pictures_are_decoded_at_a_time(tmp_path: Path) -> None:
    """Each waits for the other, so one after the other would never end."""
    both = threading.Barrier(2)

    def decode(image: ImageFile) -> Pixels:
        both.wait(WAIT)
        return decoding.pixels_of(image)

    images = pictures(tmp_path / "x", 2)
    assert Recent(decode).get(images[0], images[1:]).shape == (8, 8, 3)


def test_an_error_waits_for_its_turn_and_is_raised_each_time(tmp_path: Path) -> None:
    images = pictures(tmp_path / "x", 3)
    images[1].path.write_bytes(b"no picture")
    found = Decoded(images)
    assert found[0].shape == (8, 8, 3)
    for _ in range(2):
        with pytest.raises(MeasureError, match=r"01\.png changed"):
            found[1]
    assert found[2].shape == (8, 8, 3)


def test_the_oldest_pictures_are_dropped_beyond_the_limit(tmp_path: Path) -> None:
    images = pictures(tmp_path / "x", 5)
    asked: list[str] = []

    def decode(image: ImageFile) -> Pixels:
        asked.append(image.name)
        return decoding.pixels_of(image)

    recent = Recent(decode, most=3 * 8 * 8 * 3)
    for image in (*images, images[4], images[2], images[0]):
        recent.get(image)
    assert asked == ["00.png", "01.png", "02.png", "03.png", "04.png", "00.png"]


def test_a_fork_decodes_too(tmp_path: Path) -> None:
    """The threads of its parent do not run in it."""
    found = Decoded(pictures(tmp_path / "x", 2))
    assert found[0].shape == (8, 8, 3)
    if (child := os.fork()) == 0:
        os._exit(0 if Decoded(image_set("x", tmp_path / "x").images)[1].shape == (8, 8, 3) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
