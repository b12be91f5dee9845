"""Check the values of a LoRA file for NaN, infinity and zero, and compute its digests, in one pass.

The checks work on bit patterns, so one rule serves every float format without conversion: a value is not
finite if its exponent bits are all ones, zero if all bits but the sign are zero, and larger patterns are
larger values. The same bytes are hashed and checked, so a file that changes meanwhile cannot pass.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import Tensor, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 20  # bytes
_SCALARS = {"F16": "<e", "F32": "<f", "F64": "<d", "I32": "<i", "I64": "<q"}


@dataclass(frozen=True, slots=True)
class _Bits:
    unsigned: str  # NumPy dtype of the bit pattern
    exponent: int  # the smallest pattern that is not finite
    magnitude: int  # mask of all bits but the sign
    half: int  # the pattern of 65504, the largest float16


_FLOATS = {
    "F16": _Bits("<u2", 0x7C00, 0x7FFF, 0x7BFF),
    "BF16": _Bits("<u2", 0x7F80, 0x7FFF, 0x477F),
    "F32": _Bits("<u4", 0x7F800000, 0x7FFFFFFF, 0x477FE000),
}


@dataclass(slots=True)
class Values:
    """The digests of a file and properties of its values.

    ``tensors_sha256`` covers the bytes after the header, like sshs_model_hash of sd-scripts and LyCORIS.
    """

    sha256: str = ""
    tensors_sha256: str = ""
    bad: dict[str, int] = field(default_factory=dict)  # tensor -> values that are NaN or infinite
    alive: set[str] = field(default_factory=set)  # tensors with a value that is not zero
    huge: set[str] = field(default_factory=set)  # tensors with a value beyond float16
    alphas: dict[str, bytes] = field(default_factory=dict)  # alpha tensor -> its bytes


def read_values(files: Sequence[BinaryIO], tensors: Mapping[str, Tensor], config: bytes = b"") -> Values:
    """Read every file once, front to back; the tensors must fill each after its header.

    ``config``: what belongs to the LoRA beside its files, and is hashed after them.
    """
    values = Values()
    whole, behind = hashlib.sha256(), hashlib.sha256()
    for number, file in enumerate(files):
        mine = (tensor for tensor in tensors.values() if tensor.file == number)
        ordered = sorted(mine, key=lambda tensor: (tensor.begin, tensor.end))
        file.seek(0)
        for chunk in _chunks(file, ordered[0].begin):
            whole.update(chunk)
        for tensor in ordered:
            for chunk in _chunks(file, tensor.end - tensor.begin):
                whole.update(chunk)
                behind.update(chunk)
                _look(values, tensor, chunk)
    whole.update(config)
    values.sha256, values.tensors_sha256 = whole.hexdigest(), behind.hexdigest()
    _check_finite(values)
    return values


def _chunks(file: BinaryIO, count: int) -> Iterator[bytes]:
    while count:
        chunk = file.read(min(CHUNK, count))
        if len(chunk) != min(CHUNK, count):
            raise LoraFileError("became shorter while it was read; it is still being written")
        count -= len(chunk)
        yield chunk


def _look(values: Values, tensor: Tensor, chunk: bytes) -> None:
    if tensor.name.endswith(".alpha"):
        values.alphas[tensor.name] = chunk
        return
    bits = _FLOATS[tensor.dtype]
    magnitudes = _magnitudes(chunk, bits)
    peak = int(magnitudes.max())
    if peak:
        values.alive.add(tensor.name)
    if peak >= bits.exponent:
        count = int((magnitudes >= bits.exponent).sum())
        values.bad[tensor.name] = values.bad.get(tensor.name, 0) + count
    elif peak > bits.half:
        values.huge.add(tensor.name)


def _magnitudes(chunk: bytes, bits: _Bits) -> NDArray[np.unsignedinteger[Any]]:
    import numpy as np

    patterns: NDArray[np.unsignedinteger[Any]] = np.frombuffer(chunk, dtype=bits.unsigned)
    magnitudes: NDArray[np.unsignedinteger[Any]] = np.bitwise_and(patterns, bits.magnitude)
    return magnitudes


def _check_finite(values: Values) -> None:
    if values.bad:
        name, count = next(iter(values.bad.items()))
        more = f", and {len(values.bad) - 1} more tensors have some" if len(values.bad) > 1 else ""
        raise LoraFileError(
            f"has {count} values that are NaN or infinite in {shown(name)}{more}; the training diverged"
        )


def scalar(tensor: Tensor, values: Values) -> float:
    """Return an alpha, which is one number of any dtype in `algorithms.NUMBERS`."""
    data = values.alphas[tensor.name]
    if tensor.dtype == "BF16":  # the upper half of a float32
        return float(struct.unpack("<f", b"\0\0" + data)[0])
    return float(struct.unpack(_SCALARS[tensor.dtype], data)[0])
