"""Find the face that counts in each picture, and compute its features and landmarks.

A row has the features of one face, then the number of faces, then the five landmarks of that face: the
centres of the eyes, the tip of the nose and the corners of the mouth, each from left to right, as x and y
in pixels of the picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lora_checks.core.errors import ConfigError
from lora_checks.images.decoding import Pixels
from lora_checks.networks import Floats
from lora_checks.networks.weights import number

LANDMARKS = 10  # numbers
PARTS: Mapping[str, slice] = {
    "features": slice(0, -1 - LANDMARKS),
    "faces": slice(-1 - LANDMARKS, -LANDMARKS),
    "landmarks": slice(-LANDMARKS, None),
}
WHICH = ("largest", "middle")
SETTINGS = frozenset({"det_size", "det_thresh", "pad", "face"})


class Faces:
    """A detector and a recogniser of faces.

    Settings: ``det_size``, the side in pixels at which faces are looked for, or a list of them, tried in turn
    until one shows a face; ``det_thresh``, the least score of a face; ``pad``, a border before detection, as
    a share of the longer side, for portraits so tight that no face is detected; ``face``, which of several
    faces counts: the "largest" or the one nearest to the "middle" of the picture.
    """

    kind = ""
    width = 0  # of the features
    parts = PARTS

    def __init__(self, settings: Mapping[str, Any], det_size: int, det_thresh: float) -> None:
        self.det_sizes = _sizes(self.kind, settings, det_size)
        self.det_thresh = number(self.kind, settings, "det_thresh", det_thresh, 0, 1)
        self.pad = number(self.kind, settings, "pad", 0, 0, 4)
        self.which = settings.get("face", WHICH[0])
        if self.which not in WHICH:
            raise ConfigError(f"networks: {self.kind}: face: {self.which!r} is not one of {', '.join(WHICH)}")

    @property
    def chosen(self) -> dict[str, Any]:
        """Return the settings that decide which face is found, for the identity."""
        sizes = self.det_sizes[0] if len(self.det_sizes) == 1 else list(self.det_sizes)
        which = {} if self.which == WHICH[0] else {"face": self.which}
        return {"det_size": sizes, "det_thresh": self.det_thresh, "pad": self.pad, **which}

    def images(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D) float32 for the face that counts, not normalised; NaN if there is no face."""
        return self.rows(pixels)[:, self.parts["features"]]

    def rows(self, pixels: Sequence[Pixels]) -> Floats:
        """Return (N, D + 11) float32: the features, the number of faces, the landmarks."""
        return np.stack([self._row(image) for image in pixels])

    def _row(self, image: Pixels) -> Floats:
        border = round(self.pad * max(image.shape[:2]))
        # Black, as the detectors themselves pad pictures that are not square.
        padded = np.pad(image, ((border, border), (border, border), (0, 0)))
        blue_first = np.ascontiguousarray(padded[:, :, ::-1])
        boxes, landmarks = self._faces(blue_first)
        row = np.full(self._size + 1 + LANDMARKS, np.nan, np.float32)
        row[self.parts["faces"]] = len(boxes)
        if len(boxes):
            counts = which(boxes, padded.shape, self.which)
            row[self.parts["features"]] = self._embedding(blue_first, boxes[counts], landmarks[counts])
            row[self.parts["landmarks"]] = (landmarks[counts] - border).ravel()
        return row

    def _faces(self, blue_first: Pixels) -> tuple[Floats, Floats]:
        """Return boxes (F, 5) and landmarks (F, 5, 2) at the first size that shows a face."""
        for size in self.det_sizes:
            boxes, landmarks = self._detect(blue_first, size)
            if len(boxes):
                break
        return boxes, landmarks

    @property
    def _size(self) -> int:
        """Return the number of features."""
        raise NotImplementedError

    def _detect(self, blue_first: Pixels, size: int) -> tuple[Floats, Floats]:
        """Return the faces' left, top, right, bottom and score, (F, 5), and their landmarks, (F, 5, 2)."""
        raise NotImplementedError

    def _embedding(self, blue_first: Pixels, box: Floats, landmarks: Floats) -> Floats:
        """Return the features of one face, (D,)."""
        raise NotImplementedError


def which(boxes: Floats, shape: Sequence[int], wanted: str) -> int:
    """Return the index of the face that counts, of boxes (F, 4 or 5) in a picture of this shape."""
    if wanted == "middle":
        centres = (boxes[:, :2] + boxes[:, 2:4]) / 2
        return int(np.argmin(np.linalg.norm(centres - np.array([shape[1], shape[0]]) / 2, axis=1)))
    return int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))


def centred_face(image: Pixels, template: Floats) -> tuple[Floats, Floats]:
    """Return the box and landmarks of a face that fills the middle of a picture.

    Args:
        image: (H, W, 3).
        template: (5, 2) landmarks in a square of 112.
    """
    side = min(image.shape[:2])
    corner = (np.array(image.shape[1::-1]) - side) / 2
    landmarks = (template * (side / 112) + corner).astype(np.float32)
    return np.array([*corner, *(corner + side), 1], np.float32), landmarks


def _sizes(kind: str, settings: Mapping[str, Any], default: int) -> tuple[int, ...]:
    value = settings.get("det_size", default)
    listed = value if isinstance(value, list) else [value]
    if not listed:
        raise ConfigError(f"networks: {kind}: det_size: is empty; name a size in pixels")
    sizes = [int(number(kind, {"det_size": size}, "det_size", 0, 32, 4096)) for size in listed]
    for size in sizes:
        if size % 32:
            raise ConfigError(f"networks: {kind}: det_size: {size} is not a multiple of 32")
    return tuple(sizes)
