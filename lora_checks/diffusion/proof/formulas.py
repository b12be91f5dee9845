"""Compute what a layer adds to the base's weight, directly from the published formulas.

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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lora_checks.core.records import LoraLayer

VALUES = 1 << 20  # of a weight computed at a time: 8 MB in float64
_WHOLE = ("diff", "lokr_w2")  # parts that may be as large as the weight: made float64 a few rows at a time


@dataclass(frozen=True, slots=True)
class Factors:
    """The parts of a plain LoRA in float64: its change is s B A, and its effect on x is s B (A x)."""

    up: Any  # (rows, rank), the rows of all targets in the file's order
    down: Any  # (rank, columns, *kernel) of the base's weight; (rank, columns) with a core
    core: Any  # (rank, rank, *kernel), or None


def factors(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> Factors | None:
    """Return the factors of a LoRA without magnitudes, on the CPU; None for any other kind of change.

    With them an effect takes rank x (rows + columns) multiplications for each row of the input, and the
    rows x columns numbers of the weight's change are never made. ``weight``: as for `weight_changes`.
    """
    if "down" not in layer.parts or {"dora_scale", "magnitude"} & layer.parts.keys():
        return None
    parts = _parts(layer, tensors, weight)
    core = parts.get("mid")
    down = parts["down"].flatten(1) if core is not None else parts["down"].reshape(-1, *weight.shape[1:])
    return Factors(parts["up"].flatten(1), down, core)


def weight_change(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> Any:
    """fp32, of the shape and on the device of ``weight``; see `weight_changes`."""
    import torch

    return torch.cat([change for _, change in weight_changes(layer, tensors, weight)])


def weight_changes(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> Iterator[tuple[slice, Any]]:
    """Rows of the weight, and what is added to them in fp32; some rows at a time, worked out in fp64.

    ``tensors``: those of the file by their names. ``weight``: the base's, the rows of all targets one under
    the other in the file's order; only layers with magnitudes depend on its values.
    """
    parts = _parts(layer, tensors, weight)
    magnitude = parts.get("dora_scale")
    if "magnitude" in parts:  # PEFT writes that of a convolution's rows as (1, rows, 1, 1)
        magnitude = parts["magnitude"].flatten()
    norms = None if magnitude is None else _norms(layer, parts, weight, _by_input(magnitude, len(weight)))
    for at, change in _changes(layer, parts, weight):
        if magnitude is not None and norms is not None:
            base = weight[at].to(change.dtype)
            by = slice(None) if _by_input(magnitude, len(weight)) else at
            scale = magnitude.flatten()[by] / norms[by]
            change = (base + change) * _beside(scale, change, _by_input(magnitude, len(weight))) - base
        yield at, change.float()


def _changes(layer: LoraLayer, parts: Mapping[str, Any], weight: Any) -> Iterator[tuple[slice, Any]]:
    """Yield the changes before any magnitude."""
    columns = weight[0].numel()
    step = max(1, VALUES // columns)
    for begin in range(0, len(weight), step):
        at = slice(begin, min(len(weight), begin + step))
        yield at, layer.scaling * _direction(parts, at, _dtype(weight)).reshape(-1, *weight.shape[1:])


def _norms(layer: LoraLayer, parts: Mapping[str, Any], weight: Any, by_input: bool) -> Any:
    """Compute |W + dW| of each output, or of each input."""
    import torch

    found = []
    for at, change in _changes(layer, parts, weight):
        squares = (weight[at].to(change.dtype) + change).pow(2)
        found.append(squares.sum([axis for axis in range(squares.ndim) if axis != int(by_input)]))
    return (torch.stack(found).sum(0) if by_input else torch.cat(found)).sqrt()


def _by_input(magnitude: Any, rows: int) -> bool:
    return bool(magnitude.ndim > 1 and magnitude.shape[0] == 1 and (rows, magnitude.numel()) != (1, 1))


def _beside(scale: Any, change: Any, by_input: bool) -> Any:
    """Reshape one number per row or column so that it multiplies the weight."""
    ones = (1,) * (change.ndim - 2)
    return scale.reshape(1, -1, *ones) if by_input else scale.reshape(-1, 1, *ones)


def bias_change(layer: LoraLayer, tensors: Mapping[str, Any]) -> Any:
    """fp32 (rows,) in the file's order, or None where the layer changes no bias."""
    name = layer.parts.get("bias") or layer.parts.get("diff_b")
    return None if name is None else layer.scaling * tensors[name].float().flatten()


def _dtype(weight: Any) -> Any:
    import torch

    return torch.float32 if weight.device.type == "mps" else torch.float64


def _parts(layer: LoraLayer, tensors: Mapping[str, Any], weight: Any) -> dict[str, Any]:
    dtype = _dtype(weight)
    found = {part: tensors[name].to(weight.device) for part, name in layer.parts.items()}
    return {part: value if part in _WHOLE else value.to(dtype) for part, value in found.items()}


def _direction(parts: Mapping[str, Any], at: slice, dtype: Any) -> Any:
    """Compute rows of the change, before scaling and magnitudes."""
    if "down" in parts:
        return _product(parts["up"][at], parts["down"], parts.get("mid"))
    if "hada_w1_a" in parts:
        return _half(parts, "1", at) * _half(parts, "2", at)
    if "diff" in parts:
        return parts["diff"][at].to(dtype)
    return _kronecker(parts, at, dtype)


def _product(up: Any, down: Any, core: Any = None) -> Any:
    """(rows, rank), (rank, columns ...) -> (rows, columns ...); a core (rank, rank, ...) stands between."""
    import torch

    if core is None:
        return torch.tensordot(up.flatten(1), down, dims=1)
    through = torch.tensordot(up.flatten(1), core, dims=1)  # (rows, rank, *kernel)
    return torch.tensordot(through, down.flatten(1), dims=([1], [0])).movedim(-1, 1)


def _half(parts: Mapping[str, Any], half: str, at: slice) -> Any:
    """Compute rows of one LoHa half; with a core LyCORIS stores ``a`` as (rank, rows)."""
    a, b, core = (parts.get(f"hada_{part}") for part in (f"w{half}_a", f"w{half}_b", f"t{half}"))
    return _product(a[at], b) if core is None else _product(a.T[at], b, core)  # type: ignore[index, union-attr]


def _kronecker(parts: Mapping[str, Any], at: slice, dtype: Any) -> Any:
    """Row r of the product is that of the first factor at r // n, times each of the second's row r % n."""
    import torch

    outer = parts["lokr_w1"] if "lokr_w1" in parts else _product(parts["lokr_w1_a"], parts["lokr_w1_b"])
    a, core = parts.get("lokr_w2_a"), parts.get("lokr_t2")
    height = len(parts["lokr_w2"]) if a is None else a.shape[int(core is not None)]
    rows = torch.arange(at.start, at.stop, device=outer.device)
    if a is None:
        inner = parts["lokr_w2"][rows % height].to(dtype)
    elif core is None:
        inner = _product(a[rows % height], parts["lokr_w2_b"])
    else:
        inner = _product(a.T[rows % height], parts["lokr_w2_b"], core)
    blocks = outer[rows // height][:, :, None, None] * inner.reshape(len(rows), 1, inner.shape[1], -1)
    return blocks.reshape(len(rows), outer.shape[1] * inner.shape[1], *inner.shape[2:])
