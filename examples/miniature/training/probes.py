"""Judge what a picture shows (shirt, glasses, smile, background, hair), apart from the generative model.

probes = load_probes()
shirt = probes.predict(images)["shirt"]  # class numbers; their names are probes.names["shirt"]
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor, nn

WEIGHTS = Path(__file__).resolve().parent.parent / "evaluators" / "probes" / "probes.safetensors"
BATCH = 64


def conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Probes(nn.Module):
    """One small network with a linear head for each attribute."""

    def __init__(self, names: dict[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.names = names
        self.body = nn.Sequential(
            conv(3, 24, 2),
            conv(24, 48, 2),
            conv(48, 48, 1),
            conv(48, 64, 2),
            conv(64, 64, 1),
            conv(64, 64, 2),
            nn.Flatten(),
        )
        self.heads = nn.ModuleDict(
            {name: nn.Linear(64 * 4 * 4, len(classes)) for name, classes in names.items()}
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the logits of `images`, (N, 3, 64, 64), RGB in [-1, 1]."""
        features = self.body(images)
        return {name: head(features) for name, head in self.heads.items()}

    @torch.inference_mode()
    def predict(self, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.int64]]:
        """Return the most likely class number of each attribute, (N,); `images` is (N, 64, 64, 3), RGB."""
        batches = [self(to_input(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
        return {name: np.concatenate([b[name].argmax(dim=1).numpy() for b in batches]) for name in self.names}


def to_input(images: npt.NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def load_probes(path: Path = WEIGHTS) -> Probes:
    """Load the probes; the file's metadata has the names of the classes, in the order of their numbers."""
    with safe_open(path, framework="pt") as file:
        names = {name: tuple(classes) for name, classes in json.loads(file.metadata()["names"]).items()}
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    probes = Probes(names)
    probes.load_state_dict({key: t.float() if t.is_floating_point() else t for key, t in state.items()})
    return probes.eval()
