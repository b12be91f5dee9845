"""Which device and number format to use, found out without importing torch where that is possible."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from lora_checks.core.errors import ConfigError, PrerequisiteError

GPU_NODES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, NVIDIA under WSL, AMD


def choose_device(asked: str) -> str:
    """``auto`` becomes "cuda", "mps" or "cpu"; another name must be a device that this machine has."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", asked):
        raise ConfigError(f"--lora-device: '{asked}' is no device; use auto, cpu, cuda, cuda:1 or mps")
    if asked == "cpu":
        return asked
    found = _devices()
    if asked == "auto":
        return found[0]
    if asked not in found:
        raise PrerequisiteError(
            f"--lora-device: there is no {asked} on this machine; it has {', '.join(found)}"
        )
    return asked


def _devices() -> list[str]:
    """The best first."""
    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return ["cpu"]  # the common case of a laptop or CI must not pay two seconds for this question
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*(["cuda"] if cuda else []), *cuda, *mps, "cpu"]


def choose_dtype(asked: str, device: str, transformer: Callable[[], bool] = lambda: False) -> str:
    """``auto`` becomes half precision on a GPU and float32 on a CPU, where half is slow and inexact.

    A base with a ``transformer`` (SD 3, FLUX) was trained in bfloat16 and its T5 overflows in float16.
    """
    if asked != "auto":
        return asked
    if not device.startswith("cuda"):
        return "float32"
    return "bfloat16" if transformer() and _has_bfloat16() else "float16"


def _has_bfloat16() -> bool:
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def hardware(device: str) -> str:
    """The class of the machine, "cpu" or "cuda NVIDIA A10G": values of two classes may differ in rounding."""
    if device == "cpu":
        return device
    if device == "mps":
        return f"mps {platform.machine()}"
    import torch

    return f"cuda {torch.cuda.get_device_name(device)}"


def library_versions() -> tuple[str, ...]:
    """What changes pixels between two machines that otherwise agree."""
    return tuple(f"{name} {version(name)}" for name in ("diffusers", "peft", "torch", "transformers"))
