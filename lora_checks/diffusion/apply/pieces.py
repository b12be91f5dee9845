"""Compute the change of a weight some rows at a time.

The whole change of a LoHa or LoKr is as large as the weight, and building it needs several times that
memory: a file of 0.65 MB took gigabytes. Rows of a change are independent of each other, so pieces of a few
MB give the same result.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, cast

from lora_checks.diffusion.quantised import weights as weights_of

VALUES = 1 << 20  # of a weight built at a time: 4 MB in float32
Parts = Mapping[str, Any]  # part -> torch.Tensor
Piece = tuple[slice, Any]  # rows and their change, shaped (rows, *shape[1:])


def pieces(parts: Parts, shape: Sequence[int], dtype: Any) -> Iterator[Piece]:
    """Yield the change of a weight of ``shape``, before scaling and magnitudes, in ``dtype``."""
    columns = 1
    for axis in shape[1:]:
        columns *= axis
    flat_pieces = _pieces(parts, shape[0], columns, dtype)
    return ((rows, change.reshape(-1, *shape[1:])) for rows, change in flat_pieces)


def _pieces(parts: Parts, rows: int, columns: int, dtype: Any) -> Iterator[Piece]:
    if "diff" in parts:
        return ((at, parts["diff"][at].to(dtype)) for at in _slices(rows, columns))
    if any(part.startswith("lokr_") for part in parts):
        return _kronecker(parts, columns, dtype)
    wide = {part: tensor.to(dtype) for part, tensor in parts.items()}
    if "down" in parts:
        down, up = contracted(wide).flatten(1), wide["up"].flatten(1)
        return ((at, up[at] @ down) for at in _slices(rows, columns))
    return ((at, _half(wide, "1", at) * _half(wide, "2", at)) for at in _slices(rows, columns))


def _slices(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, VALUES // columns)
    return (slice(begin, min(rows, begin + step)) for begin in range(0, rows, step))


def contracted(parts: Parts) -> Any:
    """Return ``down`` as (rank, columns, *kernel), times any Tucker core (LyCORIS functional/locon.py)."""
    import torch

    down = parts["down"]
    if "mid" not in parts:
        return down
    return torch.einsum("mn...,nj->mj...", parts["mid"], down.flatten(1))


def _half(parts: Parts, half: str, at: slice) -> Any:
    a, b = parts[f"hada_w{half}_a"], parts[f"hada_w{half}_b"]
    if f"hada_t{half}" in parts:
        return _tucker(parts[f"hada_t{half}"], a[:, at], b).flatten(1)
    return a[at] @ b.flatten(1)


def _tucker(core: Any, a: Any, b: Any) -> Any:
    """Multiply (rank, rank, *kernel), (rank, rows) and (rank, columns) into (rows, columns, *kernel)."""
    import torch

    return torch.einsum("ij...,ip,jr->pr...", core, a, b)


def _kronecker(parts: Parts, columns: int, dtype: Any) -> Iterator[Piece]:
    """Yield whole blocks of the second factor, or some of its rows if one block is too large."""
    import torch

    outer = parts["lokr_w1"].to(dtype) if "lokr_w1" in parts else _product(parts, "lokr_w1", dtype)
    height = _height(parts)
    blocks = VALUES // (height * columns)
    step = max(1, VALUES // columns)
    if blocks:
        inner = _inner(parts, slice(0, height), dtype)
        for i in range(0, len(outer), blocks):
            some = outer[i : i + blocks]
            yield (
                slice(i * height, (i + len(some)) * height),
                torch.kron(some.reshape(*some.shape, *(1,) * (inner.ndim - 2)), inner),
            )
        return
    for j in range(0, height, step):
        inner = _inner(parts, slice(j, min(height, j + step)), dtype)
        for i, row in enumerate(outer):
            begin = i * height + j
            some = row.reshape(1, len(row), *(1,) * (inner.ndim - 2))
            yield slice(begin, begin + len(inner)), torch.kron(some, inner)


def _height(parts: Parts) -> int:
    if "lokr_w2" in parts:
        return len(parts["lokr_w2"])
    return parts["lokr_w2_a"].shape[int("lokr_t2" in parts)]  # type: ignore[no-any-return]


def _inner(parts: Parts, at: slice, dtype: Any) -> Any:
    """Return rows of the second factor; the kernel may be folded into the columns."""
    if "lokr_w2" in parts:
        return parts["lokr_w2"][at].to(dtype).contiguous()
    a, b = parts["lokr_w2_a"].to(dtype), parts["lokr_w2_b"].to(dtype)
    if "lokr_t2" in parts:
        return _tucker(parts["lokr_t2"].to(dtype), a[:, at], b).contiguous()
    return a[at] @ b.flatten(1)


def _product(parts: Parts, name: str, dtype: Any) -> Any:
    return parts[f"{name}_a"].to(dtype) @ parts[f"{name}_b"].to(dtype)


def decomposed(weight: Any, change: Any, factor: Any, rows: slice) -> Any:
    """Return the change of these rows if ``factor`` scales weight plus change, as in a DoRA."""
    base = weight[rows].to(change.dtype)
    by_row = factor[rows] if len(factor) > 1 or len(weight) == 1 else factor
    return (base + change) * by_row - base


@cache
def in_pieces(kind: Any) -> Any:
    """Derive a class from PEFT's LoHa or LoKr layer that applies its change in pieces.

    It also supports a ``factor`` of magnitudes, and parameters in the file's precision.
    """

    class InPieces(kind):  # type: ignore[misc]
        adapter_layer_names = (*kind.adapter_layer_names, "factor")
        other_param_names = (*kind.other_param_names, "within")

        def _get_delta_activations(self, adapter_name: str, input: Any, *_: Any, **__: Any) -> Any:
            import torch

            base = self.get_base_layer()
            factor = self.factor.get(adapter_name)
            dtype = weights_of.dtype(base) if factor is None else torch.float32
            if input.dtype is torch.float64:  # the proof
                dtype = input.dtype
            held = {part: getattr(self, part) for part in kind.adapter_layer_names}
            parts = {part: values[adapter_name] for part, values in held.items() if adapter_name in values}

            def changes() -> Iterator[Piece]:
                weight = None if factor is None else weights_of.value(base)
                for rows, change in pieces(parts, weights_of.shape(base), dtype):
                    if factor is not None:
                        scaled = change * self.within[adapter_name]
                        change = decomposed(weight, scaled, factor.to(dtype), rows)
                    yield rows, change * self.scaling[adapter_name]

            return joined(base, changes(), self._cast_input_dtype(input, dtype))

    InPieces.__name__ = f"{kind.__name__}InPieces"
    return InPieces


def through(base: Any, x: Any) -> Any:
    """Apply the base's layer without its bias, in the precision of ``x``."""
    weight = weights_of.value(base)
    if weight.dtype == x.dtype:
        return operate(base, weight, x)
    each = ((at, weight[at].to(x.dtype)) for at in _slices(len(weight), weight[0].numel()))
    return joined(base, each, x)


def joined(base: Any, weights: Iterator[Piece], x: Any) -> Any:
    """Apply the base's layer with a weight that comes in pieces, without a bias."""
    output = None
    for rows, weight in weights:
        piece = operate(base, weight, x)
        axis = -1 if weight.ndim == 2 else 1
        if output is None:
            shape = list(piece.shape)
            shape[axis] = weights_of.shape(base)[0]
            output = piece.new_empty(shape)
        output.narrow(axis, rows.start, len(weight)).copy_(piece)
    return output


def operate(base: Any, weight: Any, x: Any) -> Any:
    """Apply the base's layer with another weight and without its bias."""
    from torch.nn import functional

    if weight.ndim == 2:
        return functional.linear(x, weight)
    convolve = functional.conv2d if weight.ndim == 4 else functional.conv3d
    return convolve(
        x, weight, stride=base.stride, padding=base.padding, dilation=base.dilation, groups=base.groups
    )


def adopt(tuner: Any) -> None:
    """Make a LoHa or LoKr layer of PEFT work in pieces."""
    import torch

    if not hasattr(tuner, "within"):
        tuner.__class__ = in_pieces(cast("Hashable", type(tuner)))
        tuner.factor = torch.nn.ParameterDict({})
        tuner.within = {}
