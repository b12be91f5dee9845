"""Features of large sets: in blocks, shared by threads and processes, resumed; damage is named."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shards_made import encoded, write_tar

from lora_checks.core.errors import MeasureError, StoreError
from lora_checks.core.records import ImageFile
from lora_checks.core.store import Store
from lora_checks.images.decoding import Pixels, pixels_of
from lora_checks.images.sets import image_set
from lora_checks.networks import Floats, features
from lora_checks.networks.blocks import BLOCK, Blocks


class Colour:
    """A network that notes how many pictures it has seen."""

    id, label = "colour/1", "mean of each channel"

    def __init__(self) -> None:
        self.seen, self._lock = 0, threading.Lock()

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        return np.array([image.mean(axis=(0, 1)) for image in pixels], np.float32)

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        with self._lock:
            self.seen += len(pixels)
        return self.images(pixels)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImageFile, ...]:
    """Two shards, of which neither fills its last block."""
    folder = tmp_path_factory.mktemp("shards")
    for shard, count in enumerate((BLOCK + 8, 2 * BLOCK + 1)):
        files = {f"{i}.png": encoded(1000 * shard + i, side=8) for i in range(count)}
        write_tar(folder / f"{shard}.tar", files)
    return image_set("references", folder / "{0..1}.tar").images


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _rows(images: Sequence[ImageFile], network: Any, store: Store, workers: int | None = None) -> Floats:
    return np.concatenate(list(Blocks(images, network, store).rows(workers=workers)))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_rows_are_those_of_single_pictures(workers: int, pictures: Sequence[ImageFile], store: Store) -> None:
    one_by_one = Colour().images([pixels_of(image) for image in pictures])
    np.testing.assert_array_equal(_rows(pictures, Colour(), store, workers), one_by_one)


def test_nothing_is_measured_twice(pictures: Sequence[ImageFile], store: Store) -> None:
    first, second = Colour(), Colour()
    whole = _rows(pictures, first, store)
    np.testing.assert_array_equal(_rows(pictures, second, store), whole)
    assert (first.seen, second.seen) == (len(pictures), 0)


def test_another_shard_changes_no_other_block(pictures: Sequence[ImageFile], store: Store) -> None:
    of_second = [image for image in pictures if image.path.name == "1.tar"]
    _rows(of_second, Colour(), store)
    network = Colour()
    _rows(pictures, network, store)
    assert network.seen == BLOCK + 8


def test_another_network_has_blocks_of_its_own(pictures: Sequence[ImageFile], store: Store) -> None:
    _rows(pictures, Colour(), store)
    other = Colour()
    other.id = "colour/2"
    _rows(pictures, other, store)
    assert other.seen == len(pictures)


def test_a_damaged_block_is_made_again(pictures: Sequence[ImageFile], store: Store) -> None:
    whole = _rows(pictures, Colour(), store)
    said: list[str] = []
    store.say = said.append
    first = sorted(store.root.glob("arrays/*/*/*.npy"))[0]
    first.write_bytes(first.read_bytes()[:-40])
    np.testing.assert_array_equal(_rows(pictures, Colour(), store), whole)
    assert len(said) == 1
    assert first.name in said[0]


def test_progress_counts_pictures(pictures: Sequence[ImageFile], store: Store) -> None:
    _rows(pictures[:BLOCK], Colour(), store)
    totals, done = list[int](), list[int]()

    @contextmanager
    def progress(total: int) -> Any:
        totals.append(total)
        yield done.append

    list(Blocks(pictures, Colour(), store).rows(progress))
    assert totals == [len(pictures) - BLOCK]
    assert sum(done) == totals[0]


def test_a_damaged_picture_is_named_and_the_rest_is_kept(tmp_path: Path, store: Store) -> None:
    files = {f"{i}.png": encoded(i, side=8) for i in range(2 * BLOCK)}
    files[f"{BLOCK + 3}.png"] = files[f"{BLOCK + 3}.png"][:60]
    images = image_set("references", write_tar(tmp_path / "00007.tar", files)).images
    with pytest.raises(MeasureError, match=rf"00007\.tar: {BLOCK + 3}\.png: cannot be decoded"):
        _rows(images, Colour(), store, workers=1)
    again = Colour()
    _rows(images[:BLOCK], again, store)
    assert again.seen == 0


def test_a_network_that_returns_something_else_is_refused(
    pictures: Sequence[ImageFile], store: Store
) -> None:
    class Short(Colour):
        def streamed(self, pixels: Sequence[Pixels]) -> Floats:
            return self.images(pixels)[:-1]

    with pytest.raises(MeasureError, match=r"returned float32 \(31, 3\) for 32 inputs"):
        _rows(pictures[:BLOCK], Short(), store)
    assert not list(store.root.glob("arrays/*/*/*.npy"))


def test_a_network_is_not_called_by_two_threads_unless_it_says_so(
    pictures: Sequence[ImageFile], store: Store
) -> None:
    class Shy:
        id, label = "shy/1", "shy"
        at_once = most = 0

        def images(self, pixels: Sequence[Pixels]) -> Floats:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            found = Colour().images(pixels)
            self.at_once -= 1
            return found

    shy = Shy()
    _rows(pictures, shy, store, workers=4)
    assert shy.most == 1


def test_a_full_disk_is_told(
    pictures: Sequence[ImageFile], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        _rows(pictures, Colour(), store)


def test_large_sets_come_as_blocks(
    pictures: Sequence[ImageFile], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the metrics get is the same; it lies in a file of which there is no name left."""
    rows = features.image_features(pictures, Colour(), store)
    monkeypatch.setattr(features, "LARGE", len(pictures))
    mapped = features.image_features(pictures, Colour(), store)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, rows)
    assert not [path for path in store.root.iterdir() if path.is_file()]


def _measured(folder: str, images: Sequence[ImageFile], begin: Any, seen: Any) -> None:
    network = Colour()
    begin.wait()
    _rows(images, network, Store(Path(folder)), workers=1)
    seen.put(network.seen)


def test_processes_share_the_blocks(pictures: Sequence[ImageFile], store: Store) -> None:
    """Each block is made once, whichever process makes it."""
    context = get_context("spawn")
    begin, seen = context.Barrier(2), context.Queue()
    arguments = (str(store.root), pictures, begin, seen)
    workers = [context.Process(target=_measured, args=arguments) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert seen.get(timeout=5) + seen.get(timeout=5) == len(pictures)
    assert [worker.exitcode for worker in workers] == [0, 0]


def test_what_another_process_has_claimed_is_waited_for(
    pictures: Sequence[ImageFile], tmp_path: Path, store: Store
) -> None:
    other = Store(tmp_path / "other")
    _rows(pictures, Colour(), other)
    made = {path.relative_to(other.root): path.read_bytes() for path in other.root.glob("arrays/*/*/*.npy")}
    claimed, content = next(iter(made.items()))
    claims = ExitStack()
    assert store.claim(store.root / claimed, claims)

    def finish() -> None:
        (store.root / claimed).parent.mkdir(parents=True, exist_ok=True)
        (store.root / claimed).write_bytes(content)

    network, timer = Colour(), threading.Timer(0.3, finish)
    with claims:
        timer.start()
        _rows(pictures, network, store, workers=2)
    assert len(pictures) - BLOCK <= network.seen < len(pictures)
