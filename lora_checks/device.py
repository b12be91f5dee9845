"""Which device and number format to use, found out without importing torch where that is possible."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

GPU_NODES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, NVIDIA under WSL, AMD


def choose_device(asked: str) -> str:
    """``auto`` becomes "cuda", "mps" or "cpu"; anything else is taken as it is."""
    if asked != "auto":
        return asked
    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return "cpu"  # the common case of a laptop or CI must not pay two seconds for this question
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def choose_dtype(asked: str, device: str) -> str:
    """``auto`` becomes half precision on a GPU and float32 on a CPU, where half is slow and inexact."""
    if asked != "auto":
        return asked
    return "float16" if device.startswith("cuda") else "float32"


def library_versions() -> tuple[str, ...]:
    """What changes pixels between two machines that otherwise agree."""
    return tuple(f"{name} {version(name)}" for name in ("diffusers", "peft", "torch", "transformers"))
