"""Read what a network computes for each image from the store; compute and store what is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.records import ImageFile
from lora_checks.core.store import Progress, Store
from lora_checks.images.decoded import Decoded
from lora_checks.images.sets import LARGE
from lora_checks.networks import (
    Extractor,
    ImageExtractor,
    ManyParts,
    PairExtractor,
    TextExtractor,
    device_of,
)
from lora_checks.networks.blocks import Blocks, checked
from lora_checks.networks.runtime import no_search

Floats = NDArray[np.floating[Any]]  # float32 from a network, float64 from a metric of pixels
BATCH = 8  # images decoded at a time: peak memory does not grow with their number
ROWS = 16  # images compared with all others at a time, so that those are read less often


def image_features(
    images: Sequence[ImageFile],
    network: ImageExtractor,
    store: Store,
    progress: Progress | None = None,
    part: str = "features",
) -> Floats:
    """Return the features of each image, (N, D); of a large set they are mapped from a file.

    Args:
        images: N pictures.
        network: What computes the rows that the store lacks.
        store: Where rows are read and written.
        progress: Called with the number of missing rows, then with each row that is done.
        part: Which part of a row to return, for a network of `ManyParts`.
    """
    if len(images) >= LARGE:
        found = Blocks(images, network, store).whole(progress)
    else:
        found = np.stack(of_images(images, network, store).read(store, progress))
    return found[:, network.parts[part]] if isinstance(network, ManyParts) else found


def text_features(texts: Sequence[str], network: TextExtractor, store: Store) -> Floats:
    """Return the features of each text, (N, D) float32; encode equal texts once."""
    unique = list(dict.fromkeys(texts))

    def make(indices: Sequence[int]) -> list[Floats]:
        return _rows(network, network.texts([unique[i] for i in indices]), len(indices))

    rows = store.arrays([_address(store, network, "text", text) for text in unique], make, BATCH)
    by_text = dict(zip(unique, rows, strict=True))
    return np.stack([by_text[text] for text in texts])


def all_distances(
    x: Sequence[ImageFile],
    y: Sequence[ImageFile],
    network: PairExtractor,
    store: Store,
    progress: Progress | None = None,
) -> Floats:
    """Return the distance of every x to every y, (N, M)."""
    return np.stack(of_all(x, y, network, store).read(store, progress))


def paired_distances(
    x: Sequence[ImageFile],
    y: Sequence[ImageFile],
    network: PairExtractor,
    store: Store,
    progress: Progress | None = None,
) -> Floats:
    """Return the distance of x[i] to y[i], (N,)."""
    return np.concatenate(of_pairs(x, y, network, store).read(store, progress))


@dataclass(frozen=True, slots=True)
class Rows:
    """What a network says about pictures, one array of the store for each row."""

    paths: Sequence[Path]
    make: Callable[[Sequence[int]], list[Floats]]  # gets indices into ``paths``
    at_once: int  # rows made at a time

    def read(self, store: Store, progress: Progress | None) -> list[Floats]:
        """Return the rows; make those that the store lacks."""
        return store.arrays(self.paths, self.make, self.at_once, progress)


def of_images(images: Sequence[ImageFile], network: ImageExtractor, store: Store) -> Rows:
    """Return the rows of fewer than `LARGE` images, each with all parts of a network of `ManyParts`."""
    compute = network.rows if isinstance(network, ManyParts) else network.images

    def make(indices: Sequence[int]) -> list[Floats]:
        with no_search():
            rows = compute(Decoded([images[i] for i in indices]))
        return _rows(network, rows, len(indices))

    return Rows([_address(store, network, image.sha256) for image in images], make, BATCH)


def of_all(x: Sequence[ImageFile], y: Sequence[ImageFile], network: PairExtractor, store: Store) -> Rows:
    """Return the rows of distances of each x to every y."""
    others = [image.sha256 for image in y]

    def make(indices: Sequence[int]) -> list[Floats]:
        with no_search():
            rows = network.distances(Decoded([x[i] for i in indices]), Decoded(y))
        return _rows(network, rows, len(indices))

    return Rows([_address(store, network, image.sha256, others) for image in x], make, ROWS)


def of_pairs(x: Sequence[ImageFile], y: Sequence[ImageFile], network: PairExtractor, store: Store) -> Rows:
    """Return the rows of one distance each, of x[i] to y[i]."""
    paths = [_address(store, network, a.sha256, b.sha256) for a, b in zip(x, y, strict=True)]

    def make(indices: Sequence[int]) -> list[Floats]:
        with no_search():
            distances = network.paired(Decoded([x[i] for i in indices]), Decoded([y[i] for i in indices]))
        return _rows(network, distances.reshape(-1, 1), len(indices))

    return Rows(paths, make, BATCH)


def _address(store: Store, network: Extractor, *inputs: object) -> Path:
    """Return where a row is stored. Values of a CPU and of a GPU differ by rounding, so they never mix."""
    kind = device_of(network)
    return store.array(network.id, *([] if kind == "cpu" else [f"on {kind}"]), *inputs)


def _rows(network: Extractor, array: Floats, count: int) -> list[Floats]:
    """Split what a network returned into one array for each of ``count`` inputs; raise as `checked` does."""
    return list(checked(network, array, count))
