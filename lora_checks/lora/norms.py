"""Compute the Frobenius norm of the change to each weight, mostly without building the change.

With W = s B A of rank r, |W|^2 = s^2 sum((B'B) * (A A')): two r x r matrices. A Kronecker product's norm is
the product of its factors'. Only a LoHa is built, some rows at a time. Magnitudes (DoRA) are ignored, because
their effect depends on the base.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.lora.header import Tensor
from lora_checks.lora.opening import open_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[Any]  # float64
    Read = Callable[[str], Matrix]  # part -> its tensor

_VALUES = 1 << 20  # of a LoHa built at a time: 8 MB


def norms_of(lora: Lora, tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """Read the file again and return each norm at strength 1, by layer. Raises `LoraFileError`."""
    try:
        with ExitStack() as stack:
            paths = [lora.path, *([lora.second] if lora.second else [])]
            files = [stack.enter_context(open_regular(path)) for path in paths]
            return {layer.name: _norm(files, tensors, layer) for layer in lora.layers}
    except (LoraFileError, OSError) as error:
        raise LoraFileError(f"{lora.path} {error}") from error


def _norm(files: Sequence[BinaryIO], tensors: Mapping[str, Tensor], layer: LoraLayer) -> float:
    def read(part: str) -> Matrix:
        tensor = tensors[layer.parts[part]]
        return _array(files[tensor.file], tensor)

    squared = {"down": _lora, "hada_w1_a": _loha, "diff": _whole}
    sign = next((part for part in squared if part in layer.parts), "")
    value = squared.get(sign, _lokr)(layer.parts, read)
    return layer.scaling * math.sqrt(max(value, 0.0))


def _array(file: BinaryIO, tensor: Tensor) -> Matrix:
    """Read a tensor as float64, so that no square overflows."""
    import numpy as np

    file.seek(tensor.begin)
    data = file.read(tensor.end - tensor.begin)
    if len(data) != tensor.end - tensor.begin:
        raise LoraFileError("became shorter while it was read; it is still being written")
    if tensor.dtype == "BF16":  # the upper half of a float32
        wide = np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16
        values = wide.view(np.float32)
    else:
        values = np.frombuffer(data, dtype={"F16": "<f2", "F32": "<f4"}[tensor.dtype])
    return values.reshape(tensor.shape).astype(np.float64)


def _lora(parts: Mapping[str, str], read: Read) -> float:
    down, up = read("down"), read("up")
    inner = down.reshape(len(down), -1)
    outer = up.reshape(len(up), -1)
    a, b = inner @ inner.T, outer.T @ outer
    if "mid" not in parts:
        return float((a * b).sum())
    mid = read("mid")  # (rank, rank, kernel...): one small matrix per kernel position
    cores = mid.reshape(*mid.shape[:2], -1).transpose(2, 0, 1)
    return float((cores * (b @ cores @ a)).sum())


def _whole(_parts: Mapping[str, str], read: Read) -> float:
    return float((read("diff") ** 2).sum())


def _lokr(parts: Mapping[str, str], read: Read) -> float:
    return _factor(parts, read, "lokr_w1") * _factor(parts, read, "lokr_w2")


def _factor(parts: Mapping[str, str], read: Read, name: str) -> float:
    if name in parts:
        return float((read(name) ** 2).sum())
    a, b = read(f"{name}_a"), read(f"{name}_b")
    if name == "lokr_w2" and "lokr_t2" in parts:
        core = read("lokr_t2")
        cores = core.reshape(*core.shape[:2], -1).transpose(2, 0, 1)
        return float((cores * ((a @ a.T) @ cores @ (b @ b.T))).sum())
    return float(((a.T @ a) * (b @ b.T)).sum())


def _loha(parts: Mapping[str, str], read: Read) -> float:
    if "hada_t1" in parts:
        first, second = (_tucker(read, half) for half in ("1", "2"))
        return float(((first * second) ** 2).sum())
    a, b, c, d = (read(f"hada_w{name}") for name in ("1_a", "1_b", "2_a", "2_b"))
    rows = _rows(len(a), b.shape[1])
    return sum(float((((a[i] @ b) * (c[i] @ d)) ** 2).sum()) for i in rows)


def _rows(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _VALUES // columns)
    return (slice(begin, begin + step) for begin in range(0, rows, step))


def _tucker(read: Read, half: str) -> Matrix:
    import numpy as np

    core, a, b = read(f"hada_t{half}"), read(f"hada_w{half}_a"), read(f"hada_w{half}_b")
    built: Matrix = np.einsum("ijk,ip,jr->prk", core.reshape(*core.shape[:2], -1), a, b, optimize=True)
    return built
