"""Choose the device and number format of a run, without importing torch where possible."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from lora_checks.core.errors import ConfigError, PrerequisiteError

GPU_NODES = ("/dev/nvidia0", "/dev/dxg", "/dev/kfd")  # NVIDIA, NVIDIA under WSL, AMD


def choose_device(asked: str, key: str = "--lora-device") -> str:
    """Resolve ``auto`` to "cuda", "mps" or "cpu"; check that any other device exists on this machine.

    Args:
        asked: What the user wrote.
        key: Where, for the message.

    Raises:
        ConfigError: The name is not a device name.
        PrerequisiteError: This machine does not have the device.
    """
    if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", asked):
        raise ConfigError(f"{key}: '{asked}' is not a device; use auto, cpu, cuda, cuda:1 or mps")
    if asked == "cpu":
        return asked
    available = _devices()
    if asked == "auto":
        return available[0]
    if asked not in available:
        raise PrerequisiteError(f"{key}: there is no {asked} on this machine; it has {', '.join(available)}")
    return asked


def accelerators(asked: str) -> list[str]:
    """List the accelerators among which ``auto`` or ``cuda`` leaves the choice; none if it means the CPU."""
    devices = _devices()
    cuda = [name for name in devices if name.startswith("cuda:")]
    return cuda or [name for name in devices if name == "mps" and asked == "auto"]


def _devices() -> list[str]:
    """List the devices of this machine, fastest first."""
    if sys.platform == "linux" and not any(Path(node).exists() for node in GPU_NODES):
        return ["cpu"]  # without a GPU, as on most laptops and in CI, importing torch would cost two seconds
    import torch

    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*(["cuda"] if cuda else []), *cuda, *mps, "cpu"]


def choose_dtype(asked: str, device: str, transformer: Callable[[], bool] = lambda: False) -> str:
    """Resolve ``auto`` to half precision on a GPU and to float32 on a CPU, where half is slow and inexact.

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
    """Return the hardware class, such as "cpu" or "cuda NVIDIA A10G".

    Values from two classes may differ in rounding.
    """
    if device == "cpu":
        return device
    if device == "mps":
        return f"mps {platform.machine()}"
    import torch

    return f"cuda {torch.cuda.get_device_name(device)}"


def library_versions() -> tuple[str, ...]:
    """Return the versions of the libraries that affect the pixels of an image."""
    return tuple(f"{name} {version(name)}" for name in ("diffusers", "peft", "torch", "transformers"))
