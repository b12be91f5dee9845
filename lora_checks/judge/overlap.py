"""Refuse training pictures among the references, because a copied picture would then count as likeness.

Three comparisons, each catching more than the last: equal bytes; equal pixels up to size and compression, by
thumbnails; and, where a network has seen both folders anyway, nearly equal embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, ImageSet
from lora_checks.core.store import Store
from lora_checks.images.decoded import Decoded
from lora_checks.images.decoding import DECODER, Pixels
from lora_checks.images.sets import LARGE
from lora_checks.metrics.vectors import ROWS, Array, distances, parts, unit
from lora_checks.networks import Floats
from lora_checks.networks.blocks import Blocks

SIDE = 16  # pixels of a thumbnail
SAME = 4.0  # grey levels (root mean square); JPEG and scaling change a thumbnail by less
SAME_EMBEDDING = 0.3  # of the distance between the two nearest references; a retouched picture is nearer
ADVICE = "hold references out of training: remove one of the two"


def refuse_shared(training: ImageSet, references: ImageSet, store: Store) -> None:
    """Raise `ConfigError` for a picture in both sets, by its bytes or by its pixels at another size."""
    if not (training.images and references.images):  # statistics, without their pictures
        return
    known = {image.sha256: image for image in training.images}
    for image in references.images:
        if image.sha256 in known:
            raise ConfigError(_sentence(known[image.sha256], image, "are the same file"))
    x, y = (thumbnails(pictures.images, store) for pictures in (training, references))
    i, j, apart = _closest_of(x, y)
    if apart / np.sqrt(x.shape[1]) < SAME:
        raise ConfigError(_sentence(training.images[i], references.images[j], "show the same picture"))


def refuse_twice(references: ImageSet) -> None:
    """Raise `ConfigError` for two equal files among the references.

    They would count twice in every distribution, and each would be nearest to the other.
    """
    first: dict[str, ImageFile] = {}
    for image in references.images:
        twin = first.setdefault(image.sha256, image)
        if twin is not image:
            pair = f"{references.name}/{twin.name} and {references.name}/{image.name}"
            raise ConfigError(f"{pair} are the same file; remove one of the two")


def refuse_alike(training: ImageSet, references: ImageSet, x: Floats, y: Floats, network: str) -> None:
    """Raise `ConfigError` for a pair that a network sees as one picture: far nearer than any two references.

    Only for networks that see whole scenes: a face network may take two photos of one day for one picture.

    Args:
        training: The training pictures.
        references: The references.
        x: Features of the training pictures, (N, D); NaN for a picture without any, which is left out.
        y: Features of the references, (M, D).
        network: The network's name for people.
    """
    a, b = unit(x), unit(y)
    seen_a, seen_b = (np.flatnonzero(np.isfinite(rows).all(axis=1)) for rows in (a, b))
    if not len(seen_a) or len(seen_b) < 2:
        return
    a, b = a[seen_a], b[seen_b]
    i, j, apart = _closest_of(a, b)
    usual = min(_least_apart(b, start) for start in range(0, len(b), ROWS))
    if apart < SAME_EMBEDDING * usual:
        seen = f"are one picture to {network} ({apart:.3f} apart, references at least {usual:.3f})"
        raise ConfigError(_sentence(training.images[seen_a[i]], references.images[seen_b[j]], seen))


def _closest_of(x: Array, y: Array) -> tuple[int, int, float]:
    """Return the row of x (N, D) and that of y (M, D) that are closest, and how far apart they are."""
    best = (0, 0, float("inf"))
    for part, rows in enumerate(parts(y)):
        apart = distances(x, rows)
        i, j = (int(index) for index in np.unravel_index(int(apart.argmin()), apart.shape))
        if apart[i, j] < best[2]:
            best = i, part * ROWS + j, float(apart[i, j])
    return best


def _least_apart(x: Array, start: int) -> float:
    """Return the least distance between one of the rows from ``start`` on and any other row of x (N, D)."""
    least = float("inf")
    some = x[start : start + ROWS]
    for part, rows in enumerate(parts(x)):
        apart = distances(some, rows)
        if part * ROWS == start:
            np.fill_diagonal(apart, np.inf)
        least = min(least, float(apart.min()))
    return least


def nearest_distances(distance: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the distance of each picture to its nearest other, (N,), from their distances (N, N).

    That shows how near real pictures are to each other, so a limit on copies has to stay below it.
    """
    others = np.array(distance, np.float64)
    np.fill_diagonal(others, np.inf)
    nearest: NDArray[np.float64] = others.min(axis=1)
    return nearest


def thumbnails(images: Sequence[ImageFile], store: Store) -> Floats:
    """Return thumbnails, (N, 16 * 16 * 3) float32 in grey levels, from the store where it has them."""
    if len(images) >= LARGE:
        return Blocks(images, _Thumbnails(), store).whole()
    paths = [store.array(f"thumbnail {SIDE} {DECODER}", image.sha256) for image in images]

    def make(indices: Sequence[int]) -> list[Floats]:
        return [_thumbnail(pixels) for pixels in Decoded([images[i] for i in indices])]

    return np.stack(store.arrays(paths, make, 8))


class _Thumbnails:
    """Thumbnails as a network computes features, for sets that are measured in blocks."""

    id = f"thumbnail {SIDE} {DECODER}"
    label = "thumbnails"

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        return np.stack([_thumbnail(image) for image in pixels])

    def streamed(self, pixels: Sequence[Pixels]) -> Floats:
        return self.images(pixels)


def _thumbnail(image: Pixels) -> Floats:
    small = Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).ravel()


def _sentence(training: ImageFile, reference: ImageFile, how: str) -> str:
    return f"train/{training.name} and references/{reference.name} {how}; {ADVICE}"
