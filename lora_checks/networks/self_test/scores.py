"""Compute a network's numbers for the package's three pictures, and check what holds for any that works.

``first`` and ``second`` are drawings of two people, 64 x 64. ``large`` is 240 x 160 with stripes too fine
for a smaller picture, so that a different way of resizing or cropping changes the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import SelfTestError
from lora_checks.images.decoding import Pixels, decode
from lora_checks.networks import (
    Extractor,
    FaceExtractor,
    Floats,
    ImageExtractor,
    PairExtractor,
    TextExtractor,
)

PICTURES = ("first", "second", "large")
TEXTS = ("a photo of a person", "a red square on a blue background")
SAME = 1e-4  # relative difference between two passes over the same picture
Rows = NDArray[np.float64]


def examine(network: Extractor) -> dict[str, float]:
    """Return name -> number, all finite; raise `SelfTestError` if the network contradicts itself."""
    numbers: dict[str, float] = {}
    for protocol, of in _PARTS:
        if isinstance(network, protocol):
            numbers |= of(network)
    broken = [name for name, value in numbers.items() if not np.isfinite(value)]
    if broken or not numbers:
        raise _wrong(network, f"{broken[0]} is not a number" if broken else "it measures no pictures")
    return {name: round(value, 6) for name, value in numbers.items()}


def pictures(least: int = 0) -> dict[str, Pixels]:
    """Return the pictures by name, the smaller ones enlarged to ``least`` pixels a side."""
    folder = Path(__file__).parent / "pictures"
    return {name: _enlarged(decode(folder / f"{name}.png"), least) for name in PICTURES}


def _enlarged(picture: Pixels, least: int) -> Pixels:
    times = -(-least // min(picture.shape[:2]))
    return picture.repeat(times, 0).repeat(times, 1) if times > 1 else picture


def _of_images(network: ImageExtractor) -> dict[str, float]:
    return _of_rows(network, network.aligned if isinstance(network, FaceExtractor) else network.images)


def _of_rows(network: Extractor, features_of: Callable[[list[Pixels]], Floats]) -> dict[str, float]:
    seen = pictures(getattr(network, "least", 0))  # pixels that its pictures need
    first, second, large = (seen[name] for name in PICTURES)
    together = np.asarray(features_of([first, second, first]), np.float64)
    alone = np.asarray(
        [features_of([first])[0], features_of([second])[0], features_of([large])[0]], np.float64
    )
    if not np.isfinite(together).all() or not np.isfinite(alone).all():
        raise _wrong(network, "its features of a picture are not finite")
    _same(network, together[0], together[2], "the same picture twice gives two features")
    for row, other in zip(together, alone[:2], strict=False):
        _same(network, row, other, "a picture has other features alone than in a batch")
    if _alike(alone[0], alone[1]):
        raise _wrong(network, "two different pictures have the same features")
    return _numbers(dict(zip(PICTURES, alone, strict=True)))


def _alike(first: Rows, second: Rows) -> bool:
    if len(first) == 1:  # one number has no direction
        return bool(np.isclose(first[0], second[0], rtol=SAME, atol=0))  # 1e-9 and 1e-10 are two answers
    return _cosine(first, second) > 1 - SAME


def _numbers(rows: Mapping[str, Rows]) -> dict[str, float]:
    """Return likeness, length and direction; likeness alone would not show that dimensions were swapped."""
    first, second, large = (rows[name] for name in PICTURES)
    found = {
        "first-second": _cosine(first, second),
        "first-large": _cosine(first, large),
        "second-large": _cosine(second, large),
    }
    for name, row in rows.items():
        found[f"length-{name}"] = float(np.linalg.norm(row))
    axis = np.random.RandomState(0).uniform(-1, 1, len(first))  # the same in every numpy
    for name in ("first", "large"):
        found[f"direction-{name}"] = _cosine(rows[name], axis)
    return found


def _of_faces(network: FaceExtractor) -> dict[str, float]:
    """Return the number of faces in each drawing; 0 for a detector trained on photos."""
    seen, part = pictures(), network.parts["faces"]
    counts = network.rows([seen["first"], seen["second"]])[:, part].ravel()
    return {"faces-first": float(counts[0]), "faces-second": float(counts[1])}


def _of_texts(network: TextExtractor) -> dict[str, float]:
    texts = np.asarray(network.texts(TEXTS), np.float64)
    if not np.isfinite(texts).all():
        raise _wrong(network, "its features of a text are not finite")
    if _cosine(*texts) > 1 - SAME:
        raise _wrong(network, "two different texts have the same features")
    numbers = {"text-text": _cosine(*texts), "length-text": float(np.linalg.norm(texts[0]))}
    if isinstance(network, ImageExtractor):
        row = np.asarray(network.images([pictures()["first"]])[0], np.float64)
        numbers["first-text"] = _cosine(row, texts[0])
    return numbers


def _of_pairs(network: PairExtractor) -> dict[str, float]:
    seen = pictures()
    first, second, large = (seen[name] for name in PICTURES)
    flipped = np.ascontiguousarray(large[:, ::-1])
    (to_itself, apart), (back, _) = np.asarray(
        network.distances([first, second], [first, second]), np.float64
    )
    paired = np.asarray(network.paired([first, large], [second, flipped]), np.float64)
    if not np.isfinite([to_itself, apart, back, *paired]).all():
        raise _wrong(network, "its distance of two pictures is not finite")
    if abs(to_itself) > SAME:
        raise _wrong(network, f"a picture is {to_itself:.4g} away from itself")
    if apart < SAME:
        raise _wrong(network, "two different pictures are no distance apart")
    if abs(apart - back) > SAME or abs(apart - paired[0]) > SAME:
        raise _wrong(network, "the distance of two pictures depends on which is the first")
    return {"distance-first-second": float(apart), "distance-large-flipped": float(paired[1])}


_PARTS: tuple[tuple[Any, Callable[..., dict[str, float]]], ...] = (
    (ImageExtractor, _of_images),
    (FaceExtractor, _of_faces),
    (TextExtractor, _of_texts),
    (PairExtractor, _of_pairs),
)


def _same(network: Extractor, x: Rows, y: Rows, complaint: str) -> None:
    apart = float(np.linalg.norm(x - y) / max(float(np.linalg.norm(x)), 1e-12))
    if not apart <= SAME * 10:
        raise _wrong(network, f"{complaint} ({apart:.2g} apart)")


def _cosine(x: Rows, y: Rows) -> float:
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / lengths if lengths else float("nan")


def _wrong(network: Extractor, what: str) -> SelfTestError:
    return SelfTestError(
        f"{network.label} does not work as a network should: {what}; nothing that it measures can be believed"
    )
