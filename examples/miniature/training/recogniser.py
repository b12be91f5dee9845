"""Define the face recogniser: 112x112 aligned crop -> 512 numbers whose direction is the person.

It is trained like ArcFace: a cosine softmax over persons with an additive margin, thrown away afterwards.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from augment import Image, degrade, drawing
from detector import conv
from draw import landmarks, sample_identity, sample_scene
from insightface.utils import face_align
from torch import Tensor, nn
from torch.nn import functional as F

# skimage deprecates `estimate`, which insightface calls for every crop: the warnings would drown the log.
warnings.filterwarnings("ignore", message="`estimate` is deprecated", category=FutureWarning)

EMBEDDING = 512
CROP = 112
MARGIN = 0.3
SCALE = 20.0


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


class Recogniser(nn.Module):
    """Recognise faces; it first halves the crop, because this world's 64x64 pictures have no more detail."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AvgPool2d(2),
            conv(3, 32, 2),
            conv(32, 64, 2),
            Residual(64),
            conv(64, 128, 2),
            Residual(128),
            nn.Conv2d(128, 256, 1, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 7, groups=256, bias=False),  # each channel weighs the whole face by position
            nn.BatchNorm2d(256),
            nn.Flatten(),
            nn.Linear(256, EMBEDDING, bias=False),
        )

    def forward(self, crop: Tensor) -> Tensor:
        """`crop` is (batch, 3, 112, 112), RGB, (x - 127.5) / 127.5."""
        return torch.as_tensor(self.body(crop))


class WithPersons(nn.Module):
    """The recogniser and one direction for each training person."""

    def __init__(self, persons: int) -> None:
        super().__init__()
        self.recogniser = Recogniser()
        self.persons = nn.Parameter(torch.randn(persons, EMBEDDING) * 0.05)

    def loss(self, crops: Tensor, person: Tensor, margin: float = MARGIN) -> Tensor:
        cosine = F.normalize(self.recogniser(crops)) @ F.normalize(self.persons).T
        return F.cross_entropy(SCALE * (cosine - margin * F.one_hot(person, len(self.persons))), person)


@dataclass(frozen=True)
class Album:
    """Drawings of many persons, several of each."""

    images: npt.NDArray[np.uint8]  # (N, 64, 64, 3)
    points: npt.NDArray[np.float32]  # (N, 5, 2)
    person: npt.NDArray[np.int64]  # (N,)


def album(persons: int, pictures: int, seed: int) -> Album:
    rng = np.random.default_rng(seed)
    images, points = [], []
    for _ in range(persons):
        identity = sample_identity(rng)
        for scene in (sample_scene(rng) for _ in range(pictures)):
            images.append(drawing(identity, scene))
            points.append(landmarks(identity, scene).astype(np.float32))
    return Album(np.stack(images), np.stack(points), np.repeat(np.arange(persons), pictures))


def training_crop(image: Image, points: npt.NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Align as insightface does, on a degraded picture and on landmarks as inexact as a detector's."""
    inexact = points + rng.normal(0, 0.4, points.shape) + rng.normal(0, 0.4, 2)
    return np.asarray(face_align.norm_crop(degrade(image, rng), inexact.astype(np.float32)), dtype=np.uint8)


def to_input(crops: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy((crops.astype(np.float32) - 127.5) / 127.5).permute(0, 3, 1, 2).contiguous()


def batch_loss(model: WithPersons, data: Album, rng: np.random.Generator, size: int = 128) -> Tensor:
    picked = rng.integers(0, len(data.person), size)
    crops = np.stack([training_crop(data.images[i], data.points[i], rng) for i in picked])
    return model.loss(to_input(crops), torch.from_numpy(data.person[picked]))
