"""What a network says of each image, from the store where it said so before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.records import ImageFile
from lora_checks.core.rounding import shortest
from lora_checks.core.store import Progress, Store, from_npy, to_npy
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


def _kept(network: Extractor, rows: Floats) -> list[bytes]:
    """What the store gets: an array a row, unless the network is not the one that its id names."""
    refuse_changed(network)
    return [to_npy(row) for row in rows]


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

    def make(indices: Sequence[int]) -> list[bytes]:
        return _kept(network, describe(Decoded([images[i] for i in indices])))

    store.fill(paths, make, BATCH, progress)
    rows = np.stack(_stored(paths))
    return rows[:, network.parts[part]] if isinstance(network, ManyParts) else rows


def text_features(texts: Sequence[str], network: TextExtractor, store: Store) -> Floats:
    """(N, D) float32, one row a text; equal texts are encoded once."""
    unique = list(dict.fromkeys(texts))
    paths = {text: store.array(network.id, "text", text) for text in unique}

    def make(indices: Sequence[int]) -> list[bytes]:
        return _kept(network, network.texts([unique[i] for i in indices]))

    store.fill(list(paths.values()), make, BATCH)
    return np.stack([from_npy(paths[text]) for text in texts])


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

    def make(indices: Sequence[int]) -> list[bytes]:
        return _kept(network, network.distances(Decoded([x[i] for i in indices]), Decoded(y)))

    store.fill(paths, make, BATCH, progress)
    return np.stack(_stored(paths))


def paired_distances(
    x: Sequence[ImageFile],
    y: Sequence[ImageFile],
    network: PairExtractor,
    store: Store,
    progress: Progress | None = None,
) -> Floats:
    """(N,): x[i] against y[i]."""
    paths = [store.array(network.id, a.sha256, b.sha256) for a, b in zip(x, y, strict=True)]

    def make(indices: Sequence[int]) -> list[bytes]:
        pairs = network.paired(Decoded([x[i] for i in indices]), Decoded([y[i] for i in indices]))
        return _kept(network, pairs.reshape(-1, 1))

    store.fill(paths, make, BATCH, progress)
    return np.concatenate(_stored(paths))


def _stored(paths: Sequence[Path]) -> list[Floats]:
    """The arrays, all in one format: some may be older, of when metrics of pixels were stored in float32."""
    found = [from_npy(path) for path in paths]
    if len({array.dtype for array in found}) == 1:
        return found
    return [shortest(array) for array in found]
