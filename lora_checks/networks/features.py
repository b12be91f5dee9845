"""What a network says of each image, from the store where it said so before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.records import ImageFile
from lora_checks.core.store import Progress, Store
from lora_checks.images.decoding import Decoded
from lora_checks.networks import (
    Extractor,
    ImageExtractor,
    ManyParts,
    PairExtractor,
    TextExtractor,
    refuse_changed,
)

Floats = NDArray[np.floating[Any]]  # float32 of a network, float64 of a metric of pixels
BATCH = 8  # images decoded at a time: peak memory does not grow with their number


def _kept(network: Extractor, rows: Floats) -> list[Floats]:
    """What the store gets: an array a row, unless the network is not the one that its id names."""
    refuse_changed(network)
    return list(rows)


def image_features(
    images: Sequence[ImageFile],
    network: ImageExtractor,
    store: Store,
    progress: Progress | None = None,
    part: str = "features",
) -> Floats:
    """(N, D), one row an image; ``part`` of the row where the network says several things."""
    paths = [store.array(network.id, image.sha256) for image in images]
    describe = network.rows if isinstance(network, ManyParts) else network.images

    def make(indices: Sequence[int]) -> list[Floats]:
        return _kept(network, describe(Decoded([images[i] for i in indices])))

    rows = np.stack(store.arrays(paths, make, BATCH, progress))
    return rows[:, network.parts[part]] if isinstance(network, ManyParts) else rows


def text_features(texts: Sequence[str], network: TextExtractor, store: Store) -> Floats:
    """(N, D) float32, one row a text; equal texts are encoded once."""
    unique = list(dict.fromkeys(texts))

    def make(indices: Sequence[int]) -> list[Floats]:
        return _kept(network, network.texts([unique[i] for i in indices]))

    rows = store.arrays([store.array(network.id, "text", text) for text in unique], make, BATCH)
    of_text = dict(zip(unique, rows, strict=True))
    return np.stack([of_text[text] for text in texts])


def all_distances(
    x: Sequence[ImageFile],
    y: Sequence[ImageFile],
    network: PairExtractor,
    store: Store,
    progress: Progress | None = None,
) -> Floats:
    """(N, M): every x against every y."""
    others = [image.sha256 for image in y]
    paths = [store.array(network.id, image.sha256, others) for image in x]

    def make(indices: Sequence[int]) -> list[Floats]:
        return _kept(network, network.distances(Decoded([x[i] for i in indices]), Decoded(y)))

    return np.stack(store.arrays(paths, make, BATCH, progress))


def paired_distances(
    x: Sequence[ImageFile],
    y: Sequence[ImageFile],
    network: PairExtractor,
    store: Store,
    progress: Progress | None = None,
) -> Floats:
    """(N,): x[i] against y[i]."""
    paths = [store.array(network.id, a.sha256, b.sha256) for a, b in zip(x, y, strict=True)]

    def make(indices: Sequence[int]) -> list[Floats]:
        pairs = network.paired(Decoded([x[i] for i in indices]), Decoded([y[i] for i in indices]))
        return _kept(network, pairs.reshape(-1, 1))

    return np.concatenate(store.arrays(paths, make, BATCH, progress))
