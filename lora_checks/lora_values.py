"""What the numbers in a LoRA file say: finite or not, trained or not, and its alphas.

Works on the bit patterns, so one rule serves every float format and nothing is converted: a value is
not finite if its exponent bits are all ones, and zero if all but its sign is zero.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from lora_checks.errors import LoraFileError
from lora_checks.lora_header import Header, Tensor, shown
from lora_checks.lora_layers import Layer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 22  # bytes
ADAPTER_METADATA = "lora_adapter_metadata"  # where diffusers keeps the PEFT configuration, as JSON
_SCALARS = {"F16": "<e", "F32": "<f", "F64": "<d", "I32": "<i", "I64": "<q"}


@dataclass(frozen=True, slots=True)
class _Bits:
    unsigned: str  # numpy dtype of the pattern
    exponent: int
    magnitude: int


_FLOATS = {
    "F16": _Bits("<u2", 0x7C00, 0x7FFF),
    "BF16": _Bits("<u2", 0x7F80, 0x7FFF),
    "F32": _Bits("<u4", 0x7F800000, 0x7FFFFFFF),
}


def check_weights(file: BinaryIO, layers: tuple[Layer, ...]) -> None:
    """Every weight finite, and at least one layer that changes something."""
    bad: dict[str, int] = {}
    ups = downs = both = 0
    for layer in layers:
        up, down = _scan(file, layer.up, bad), _scan(file, layer.down, bad)
        ups, downs, both = ups + up, downs + down, both + (up and down)
    if bad:
        name, count = next(iter(bad.items()))
        more = f", and {len(bad) - 1} more tensors have some" if len(bad) > 1 else ""
        raise LoraFileError(
            f"has {count} values that are NaN or infinite in {shown(name)}{more}; the training diverged"
        )
    if not ups:
        raise LoraFileError(
            "was never trained: every lora_B (up) matrix is zero, so the LoRA changes nothing"
        )
    if not both:
        raise LoraFileError("changes nothing: in every layer lora_A (down) or lora_B (up) is zero")


def _scan(file: BinaryIO, tensor: Tensor, bad: dict[str, int]) -> bool:
    """Whether any value is not zero; counts values that are not finite into ``bad``."""
    bits, alive = _FLOATS[tensor.dtype], False
    for chunk in _chunks(file, tensor, bits.unsigned):
        alive = alive or bool((chunk & bits.magnitude).any())
        count = int(((chunk & bits.exponent) == bits.exponent).sum())
        if count:
            bad[tensor.name] = bad.get(tensor.name, 0) + count
    return alive


def _chunks(file: BinaryIO, tensor: Tensor, dtype: str) -> Iterator[NDArray[np.unsignedinteger[Any]]]:
    import numpy as np

    for begin in range(tensor.begin, tensor.end, CHUNK):
        yield np.frombuffer(_read(file, begin, min(CHUNK, tensor.end - begin)), dtype=dtype)


def _read(file: BinaryIO, begin: int, count: int) -> bytes:
    file.seek(begin)
    data = file.read(count)
    if len(data) != count:
        raise LoraFileError("became shorter while it was read; it is still being written")
    return data


def alphas_of(file: BinaryIO, header: Header, layers: tuple[Layer, ...]) -> tuple[float, ...]:
    """The distinct alphas that the file states, ascending; each must be finite and above zero."""
    stated = {f"{layer.name}.alpha": _scalar(file, layer.alpha) for layer in layers if layer.alpha}
    stated.update(_adapter_alphas(header.metadata))
    for name, alpha in stated.items():
        if not math.isfinite(alpha) or alpha <= 0:
            effect = "changes nothing" if alpha == 0 else "is applied wrongly"
            raise LoraFileError(
                f"has alpha {alpha:g} at {shown(name)}, so the layer {effect}; it must be above 0"
            )
    return tuple(sorted(set(stated.values())))


def _scalar(file: BinaryIO, tensor: Tensor) -> float:
    if math.prod(tensor.shape) != 1 or (tensor.dtype != "BF16" and tensor.dtype not in _SCALARS):
        raise LoraFileError(
            f"has {shown(tensor.name)} of {tensor.dtype} {list(tensor.shape)}; an alpha is one number"
        )
    data = _read(file, tensor.begin, tensor.end - tensor.begin)
    if tensor.dtype == "BF16":  # the upper half of a float32
        return float(struct.unpack("<f", b"\0\0" + data)[0])
    return float(struct.unpack(_SCALARS[tensor.dtype], data)[0])


def _adapter_alphas(metadata: Mapping[str, str]) -> dict[str, float]:
    """``unet.lora_alpha`` and the exceptions in ``unet.alpha_pattern``."""
    if ADAPTER_METADATA not in metadata:
        return {}
    try:
        settings = json.loads(metadata[ADAPTER_METADATA])
        found = {key: settings[key] for key in settings if key.endswith(".lora_alpha")}
        for key in [key for key in settings if key.endswith(".alpha_pattern")]:
            found |= {f"{key}.{layer}": alpha for layer, alpha in settings[key].items()}
        return {name: float(alpha) for name, alpha in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise LoraFileError(f"has damaged metadata: {ADAPTER_METADATA} is not a PEFT configuration") from None
