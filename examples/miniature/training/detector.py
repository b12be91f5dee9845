"""Define the face detector of the miniature: a small SCRFD, as `insightface` decodes it.

Nine outputs: scores, boxes and key points at strides 8, 16 and 32, two anchors for each location. Boxes are
distances to the four sides, key points are offsets, from the anchor point (column * stride, row * stride)
and in units of the stride. Faces of this world have one size, so only stride 8 learns to fire; the others
learn to stay silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from augment import Image, degrade, drawing, faceless
from draw import SIZE, face_box, landmarks, sample_identity, sample_scene
from torch import Tensor, nn
from torch.nn import functional as F

STRIDES = (8, 16, 32)
ANCHORS = 2
POSITIVE_RADIUS = 6.0  # px; anchor points are 8 px apart, so one to four are this close to the middle
IGNORE_RADIUS = 13.0
WIDTHS = (1, 4, 10)


class Face(NamedTuple):
    box: npt.NDArray[np.float64]  # x0, y0, x1, y1
    points: npt.NDArray[np.float64]  # (5, 2)


class Outputs(NamedTuple):
    scores: tuple[Tensor, ...]  # logits, one (batch, locations * 2, 1) for each stride
    boxes: tuple[Tensor, ...]
    points: tuple[Tensor, ...]


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Detector(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv(3, 16, 2), conv(16, 32, 2), conv(32, 32), conv(32, width, 2), conv(width, width)
        )
        self.down16 = nn.Sequential(conv(width, width, 2), conv(width, width))
        self.down32 = conv(width, width, 2)
        self.merge16 = conv(width, width)
        self.merge8 = conv(width, width)
        self.heads = nn.ModuleList(nn.Conv2d(width, ANCHORS * sum(WIDTHS), 1) for _ in STRIDES)

    def forward(self, image: Tensor) -> Outputs:
        """`image` is (batch, 3, 64, 64), RGB, (x - 127.5) / 128."""
        at8 = self.stem(image)
        at16 = self.down16(at8)
        at32 = self.down32(at16)
        at16 = self.merge16(at16 + F.interpolate(at32, scale_factor=2.0))
        at8 = self.merge8(at8 + F.interpolate(at16, scale_factor=2.0))
        heads = [head(x) for head, x in zip(self.heads, (at8, at16, at32), strict=True)]
        flat = [h.permute(0, 2, 3, 1).reshape(h.shape[0], -1, sum(WIDTHS)) for h in heads]
        scores, boxes, points = zip(*(f.split(WIDTHS, dim=2) for f in flat), strict=True)
        return Outputs(scores, boxes, points)


class ForInsightFace(nn.Module):
    """Give the outputs in the order that SCRFD's decoder reads: no batch axis, scores after the sigmoid."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        out = self.detector(image)
        return tuple(t[0] for t in (*(s.sigmoid() for s in out.scores), *out.boxes, *out.points))


def to_input(images: Sequence[Image]) -> Tensor:
    return (
        torch.from_numpy((np.stack(images).astype(np.float32) - 127.5) / 128.0)
        .permute(0, 3, 1, 2)
        .contiguous()
    )


def anchor_points(stride: int) -> npt.NDArray[np.float64]:
    """Return (locations * 2, 2), as in SCRFD.forward."""
    cells = SIZE // stride
    grid = np.stack(np.mgrid[:cells, :cells][::-1], axis=-1).reshape(-1, 2) * float(stride)
    return np.repeat(grid, ANCHORS, axis=0)


def sample(rng: np.random.Generator) -> tuple[Image, Face | None]:
    """Draw a training picture: two of three show a face, moved, turned and degraded."""
    if rng.random() < 1 / 3:
        return faceless(rng), None
    identity, scene = sample_identity(rng), sample_scene(rng)
    face = Face(np.array(face_box(identity, scene)), landmarks(identity, scene))
    image, face = _move(drawing(identity, scene), face, rng)
    return degrade(image, rng, strength=rng.uniform(0.5, 1.8)), face


def _move(image: Image, face: Face, rng: np.random.Generator) -> tuple[Image, Face]:
    """Apply a similarity transform about the middle of the picture, and mirror it half of the time."""
    if rng.random() < 0.5:
        image, face = _mirror(image, face)
    scale = rng.uniform(0.85, 1.2)
    matrix = cv2.getRotationMatrix2D((SIZE / 2, SIZE / 2), rng.normal(0, 4), scale)
    matrix[:, 2] += rng.uniform(-5, 5, 2)
    moved = cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
    centre = matrix[:, :2] @ ((face.box[:2] + face.box[2:]) / 2) + matrix[:, 2]
    half = (face.box[2:] - face.box[:2]) / 2 * scale
    box = np.concatenate([centre - half, centre + half])
    return np.asarray(moved, dtype=np.uint8), Face(box, face.points @ matrix[:, :2].T + matrix[:, 2])


def _mirror(image: Image, face: Face) -> tuple[Image, Face]:
    x0, y0, x1, y1 = face.box
    points = face.points[[1, 0, 2, 4, 3]] * (-1, 1) + (SIZE, 0)
    return np.ascontiguousarray(image[:, ::-1]), Face(np.array([SIZE - x1, y0, SIZE - x0, y1]), points)


def targets(
    face: Face | None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return, for stride 8, label (1 face, 0 none, -1 not counted), box and key points at each anchor."""
    points = anchor_points(STRIDES[0])
    if face is None:
        n = len(points)
        return np.zeros(n, np.float32), np.zeros((n, 4), np.float32), np.zeros((n, 10), np.float32)
    reach = np.abs(points - (face.box[:2] + face.box[2:]) / 2).max(axis=1)
    label = np.where(reach <= POSITIVE_RADIUS, 1, np.where(reach <= IGNORE_RADIUS, -1, 0)).astype(np.float32)
    box = np.hstack([points - face.box[:2], face.box[2:] - points]) / STRIDES[0]
    offsets = (face.points[None] - points[:, None]).reshape(-1, 10) / STRIDES[0]
    return label, box.astype(np.float32), offsets.astype(np.float32)


def batch_loss(model: Detector, rng: np.random.Generator, size: int = 64) -> Tensor:
    images, faces = zip(*(sample(rng) for _ in range(size)), strict=True)
    label, box, points = (torch.from_numpy(np.stack(t)) for t in zip(*map(targets, faces), strict=True))
    out = model(to_input(images))
    scores = torch.cat([s[..., 0] for s in out.scores], dim=1)
    silent = torch.zeros(size, scores.shape[1] - label.shape[1])
    label_all = torch.cat([label, silent], dim=1)
    counted, positive = label_all >= 0, label == 1
    score_loss = F.binary_cross_entropy_with_logits(scores[counted], label_all[counted])
    box_loss = F.smooth_l1_loss(out.boxes[0][positive], box[positive], beta=0.1)
    point_loss = F.smooth_l1_loss(out.points[0][positive], points[positive], beta=0.05)
    return 5 * score_loss + box_loss + 3 * point_loss
