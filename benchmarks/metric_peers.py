"""Share what the metric benchmarks need: one core, random weights of the real architectures, pictures."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy and torch are loaded

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import lpips
import numpy as np
import torch
import torchvision
from PIL import Image
from pytorch_fid import inception

torch.set_num_threads(1)
torch.set_num_interop_threads(1)
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def inception_file(folder: Path) -> Path:
    """Write pytorch-fid's Inception in the layout of its published file."""
    with (
        patch.object(inception, "load_state_dict_from_url"),
        patch.object(torch.nn.Module, "load_state_dict"),
    ):
        network = inception.fid_inception_v3()
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    torch.save(network.state_dict(), folder / "inception.pth")
    return folder / "inception.pth"


def alex_file(folder: Path) -> Path:
    """Write torchvision's AlexNet in the layout of its published file, without the classifier."""
    torch.manual_seed(0)
    state = torchvision.models.alexnet().state_dict()
    kept = {name: tensor for name, tensor in state.items() if name.startswith("features.")}
    torch.save(kept, folder / "alexnet.pth")
    return folder / "alexnet.pth"


def their_lpips(file: Path) -> lpips.LPIPS:
    """Build ``lpips.LPIPS(net="alex")`` with our trunk instead of its download."""
    module = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    state = torch.load(file)
    for part in (getattr(module.net, f"slice{i}") for i in range(1, 6)):
        for number, layer in part.named_children():
            layer.load_state_dict({key: state[f"features.{number}.{key}"] for key in layer.state_dict()})
    return module


@contextmanager
def their_inception(file: Path) -> Iterator[None]:
    """Let pytorch-fid use our file instead of its download."""
    with patch.object(inception, "load_state_dict_from_url", lambda *_, **__: torch.load(file)):
        yield


def picture(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw coarse shapes and fine grain, (size, size, 3) uint8."""
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((size, size))
    return np.clip(np.asarray(coarse, float) + rng.normal(0, 8, (size, size, 3)), 0, 255).astype(np.uint8)


def write_pictures(folder: Path, count: int, size: int, seed: int) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(picture(rng, size)).save(folder / f"{i:03}.png", compress_level=1)
    return folder


def in_range(pixels: np.ndarray) -> torch.Tensor:
    """Convert as the usual scripts do: (1, 3, H, W) in [-1, 1]."""
    return torch.tensor(pixels).float().div(127.5).sub(1).permute(2, 0, 1)[None]


def say(text: str) -> None:
    print(text)
    sys.stdout.flush()
