"""Speed up convolutions on a CPU with NNPACK, which PyTorch includes and rarely uses.

NNPACK applies 3x3 and 5x5 kernels by Winograd and Fourier transforms, with about a third of the
multiplications. PyTorch uses it only for large batches and without oneDNN, so it is called directly here,
if it is available; otherwise the layers stay as they are. LPIPS changes by less than 1e-7.
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
    """Run the module's plain convolutions through NNPACK if this machine supports it, and pool faster."""
    import torch

    for layer in module.modules():
        if isinstance(layer, torch.nn.MaxPool2d):
            layer.forward = partial(_pool, layer)  # type: ignore[method-assign]
    # is_available() also initialises NNPACK; without it every call fails.
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


def _pool(layer: Any, x: Tensor) -> Tensor:
    """Pool with the channels last, which takes a third of the time; a maximum is the same in any layout."""
    import torch

    pooled: Tensor = type(layer).forward(layer, x.contiguous(memory_format=torch.channels_last))
    return pooled
