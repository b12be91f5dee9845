"""Read the untrusted header of a safetensors file, without torch.

The layout is 8 bytes of length, that many bytes of JSON, then the tensors end to end. Everything here
is decided from the header alone, in milliseconds, however large the file claims to be. It refuses all that
the safetensors library refuses, and also what the library accepts but no trainer writes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.format import known_format
from lora_checks.lora.header_json import FLAT, TEXT, Members, Texts, decoded

MAX_FILE = 32_000_000_000  # bytes; a FLUX.1 checkpoint has 24
# The library allows 100 MB. A LoHa of all SDXL layers has 1 MB of header; long headers come from
# `ss_tag_frequency`: 500,000 captioned images gave 100 MB (sd-scripts issue 1380).
MAX_HEADER = 25_000_000  # bytes
MAX_TENSORS = 20_000  # twice what all SDXL layers have with the most tensors per layer
MAX_METADATA = 10_000  # entries; sd-scripts writes about 100
MAX_ENTRY = 1_000  # bytes that describe one tensor
MAX_AXES = 8

# Dtype -> bits per value.
DTYPES = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the header describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int  # offset in the file
    end: int
    file: int = 0  # of a pair, 1 for the second


@dataclass(frozen=True, slots=True)
class Header:
    """The parsed header of a safetensors file."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]  # decoded on access


def shown(name: str) -> str:
    """Return an untrusted name for use in a message: quoted, escaped and shortened."""
    return ascii(name if len(name) <= 100 else name[:97] + "...")


def read_header(file: BinaryIO, size: int, suffix: str) -> Header:
    """Parse the header of an open file of ``size`` bytes. Raises `LoraFileError`."""
    head = file.read(512)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or length > MAX_HEADER:
        raise LoraFileError(known_format(head, suffix) or _no_header(head, length, size))
    if 8 + length > size:
        raise LoraFileError(f"is truncated: it ends after {size:,} bytes, inside its header; copy it again")
    if size > MAX_FILE:
        raise LoraFileError(f"has {size:,} bytes, more than any LoRA ({MAX_FILE:,})")
    file.seek(8)
    data = file.read(length)
    if len(data) != length:
        raise LoraFileError("became shorter while it was read; it is still being written")
    tensors, metadata = _parse(data)
    _check_extent(tensors, 8 + length, size)
    return Header(tensors, metadata)


def _no_header(head: bytes, length: int, size: int) -> str:
    if head[8:9] != b"{":
        return "is not a safetensors file (no JSON header at byte 8); export it again"
    if 8 + length > size:
        return f"claims a header of {length:,} bytes; the file is damaged or malicious"
    return (
        f"has a header of {length:,} bytes, more than any LoRA needs ({MAX_HEADER:,}); "
        "export it without metadata (--no_metadata of sd-scripts)"
    )


def _parse(data: bytes) -> tuple[dict[str, Tensor], Texts]:
    # Unescaped quotation marks: ten per tensor, four per metadata entry.
    if data.count(b'"') - data.count(b'\\"') > 10 * MAX_TENSORS + 4 * MAX_METADATA:
        raise LoraFileError(f"has a header with more entries than any LoRA ({MAX_TENSORS:,} tensors)")
    if data.count(b'"data_offsets"') > MAX_TENSORS:
        raise LoraFileError(f"holds more tensors than any LoRA ({MAX_TENSORS:,})")
    tensors: dict[str, Tensor] = {}
    metadata: Texts | None = None
    members = Members(data)
    for name in members:
        if name in tensors or (name == "__metadata__" and metadata is not None):
            raise _twice(name)
        if name == "__metadata__":
            metadata = _metadata(members)
        elif len(tensors) == MAX_TENSORS:
            raise LoraFileError(f"holds more tensors than any LoRA ({MAX_TENSORS:,})")
        else:
            tensors[name] = _tensor(name, members, 8 + len(data))
    members.end()
    return tensors, metadata or Texts(data, {})


def _twice(name: str) -> LoraFileError:
    return LoraFileError(f"names {shown(name)} twice in its header; readers disagree on which one counts")


def _metadata(members: Members) -> Texts:
    places: dict[str, slice] = {}
    for name in members:
        if name in places:
            raise _twice(name)
        if len(places) == MAX_METADATA:
            raise LoraFileError(f"has more than {MAX_METADATA:,} entries of metadata; export it without")
        place = members.value(TEXT, MAX_HEADER)
        if place is None:
            raise LoraFileError(f"has a damaged header: {shown(name)} in its __metadata__ is no text")
        places[name] = place
    return Texts(members.data, places)


def _tensor(name: str, members: Members, start: int) -> Tensor:
    dtype, shape, offsets = _described(name, members)
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise LoraFileError(f"has tensor {shown(name)} of unknown dtype {shown(str(dtype))}")
    if not _counts(shape) or len(shape) > MAX_AXES or not _counts(offsets) or len(offsets) != 2:
        raise LoraFileError(f"has a damaged header: shape or offsets of tensor {shown(name)}")
    begin, end = offsets
    if math.prod(shape) * DTYPES[dtype] != (end - begin) * 8:
        raise LoraFileError(
            f"has a damaged header: tensor {shown(name)} {dtype} {shape} does not fit {end - begin:,} bytes"
        )
    # Module names are printable ASCII; anything else is meant to fool people or their terminals.
    if not (name.isascii() and name.isprintable() and name):
        raise LoraFileError(f"has a tensor named {shown(name)}, which no model has; export it again")
    return Tensor(name, dtype, tuple(shape), start + begin, start + end)


def _described(name: str, members: Members) -> tuple[Any, Any, Any]:
    """Return the three values of a tensor's entry, still unchecked."""
    place = members.value(FLAT, MAX_ENTRY)
    try:
        pairs = decoded(members.data, place) if place else ()
    except (ValueError, RecursionError):
        pairs = ()
    entry = dict(pairs)
    if len(pairs) != 3 or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise LoraFileError(
            f"has a damaged header: tensor {shown(name)} is not described by dtype, shape and offsets"
        )
    return entry["dtype"], entry["shape"], entry["data_offsets"]


def _counts(value: Any) -> bool:
    """Return whether the value is a list of non-negative 64-bit integers."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_extent(tensors: Mapping[str, Tensor], start: int, size: int) -> None:
    """Check that the tensors fill the rest of the file without gaps or overlaps."""
    end = start
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != end:
            raise LoraFileError(
                f"has a damaged header: a gap or an overlap before tensor {shown(tensor.name)}"
            )
        end = tensor.end
    if end > size:
        raise LoraFileError(f"is truncated: {size:,} of {end:,} bytes are there; copy it again")
    if end < size:
        raise LoraFileError(f"has {size - end:,} bytes behind its last tensor; export it again")
