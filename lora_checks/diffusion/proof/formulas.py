"""What a layer adds to the base's weight, straight from the published formulas.

The proof holds what PEFT does against this, so nothing here is shared with what applies a LoRA.

- LoRA (Hu et al., arXiv 2106.09685, section 4.1): s B A, with s = alpha / rank. On a convolution A keeps the
  kernel and B is 1x1; a Tucker core T stands between them (LyCORIS, Yeh et al., arXiv 2309.14859).
- DoRA (Liu et al., arXiv 2402.09353, equation 5): m (W + dW) / |W + dW| - W. Its authors' code and PEFT take
  the norm over all that goes into one output; LyCORIS with ``wd_on_out`` off takes it over all that one input
  goes into, and stores m as (1, inputs).
- LoHa (FedPara, Hyeon-Woo et al., arXiv 2108.06098): s (B1 A1) * (B2 A2), element by element; on a
  convolution perhaps with a Tucker core in each product.
- LoKr (LyCORIS, arXiv 2309.14859): s times the Kronecker product of W1 and W2, either of which may be a
  product itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lora_checks.core.records import LoraLayer

LARGE = 1 << 24  # numbers; above it fp64 would cost gigabytes


def weight_change(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> Any:
    """fp32, of the shape and on the device of ``weight``.

    ``tensors``: those of the file by their names. ``weight``: the base's, the rows of all targets one under
    the other in the file's order; only layers with magnitudes depend on its values.
    """
    parts = _parts(layer, tensors, weight)
    change = layer.scaling * _direction(parts).reshape(weight.shape)
    magnitude = parts.get("dora_scale")
    if "magnitude" in parts:  # PEFT writes that of a convolution's rows as (1, rows, 1, 1)
        magnitude = parts["magnitude"].flatten()
    if magnitude is not None:
        base = weight.to(change.dtype)
        change = _rescaled(base + change, magnitude) - base
    return change.float()


def bias_change(layer: LoraLayer, tensors: Mapping[str, Any]) -> Any:
    """fp32 (rows,) in the file's order, or None where the layer changes no bias."""
    name = layer.parts.get("bias") or layer.parts.get("diff_b")
    return None if name is None else layer.scaling * tensors[name].float().flatten()


def _parts(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> dict[str, Any]:
    import torch

    small = weight.numel() <= LARGE and weight.device.type != "mps"
    dtype = torch.float64 if small else torch.float32
    return {part: tensors[name].to(weight.device, dtype) for part, name in layer.parts.items()}


def _direction(parts: Mapping[str, Any]) -> Any:
    """The change before its scaling and any magnitude."""
    if "down" in parts:
        return _product(parts["up"], parts["down"], parts.get("mid"))
    if "hada_w1_a" in parts:
        return _half(parts, "1") * _half(parts, "2")
    if "diff" in parts:
        return parts["diff"]
    return _kronecker(_kronecker_factor(parts, "lokr_w1"), _kronecker_factor(parts, "lokr_w2"))


def _product(up: Any, down: Any, core: Any = None) -> Any:
    """(rows, rank), (rank, columns ...) -> (rows, columns ...); a core (rank, rank, ...) stands between."""
    import torch

    if core is None:
        return torch.tensordot(up.flatten(1), down, dims=1)
    through = torch.tensordot(up.flatten(1), core, dims=1)  # (rows, rank, *kernel)
    return torch.tensordot(through, down.flatten(1), dims=([1], [0])).movedim(-1, 1)


def _half(parts: Mapping[str, Any], half: str) -> Any:
    """With a core LyCORIS stores ``a`` as (rank, rows)."""
    a, b, core = (parts.get(f"hada_{part}") for part in (f"w{half}_a", f"w{half}_b", f"t{half}"))
    return _product(a, b) if core is None else _product(a.T, b, core)  # type: ignore[union-attr]


def _kronecker_factor(parts: Mapping[str, Any], name: str) -> Any:
    if name in parts:
        return parts[name]
    a, b = parts[f"{name}_a"], parts[f"{name}_b"]
    core = parts.get("lokr_t2") if name == "lokr_w2" else None
    return _product(a, b) if core is None else _product(a.T, b, core)


def _kronecker(outer: Any, inner: Any) -> Any:
    """Block (i, j) of the result is outer[i, j] times ``inner``, for every place of the kernel."""
    blocks = outer[:, None, :, None, None] * inner.reshape(*inner.shape[:2], -1)[None, :, None]
    rows, columns = outer.shape[0] * inner.shape[0], outer.shape[1] * inner.shape[1]
    return blocks.reshape(rows, columns, *inner.shape[2:])


def _rescaled(weight: Any, magnitude: Any) -> Any:
    by_input = magnitude.ndim > 1 and magnitude.shape[0] == 1
    axes = [axis for axis in range(weight.ndim) if axis != int(by_input)]
    norm = weight.pow(2).sum(axes, keepdim=True).sqrt()
    return weight * (magnitude.reshape(norm.shape) / norm)
