"""The header of a safetensors file, read without torch and without trusting it.

The layout is 8 bytes of length, that many bytes of JSON, then the tensors end to end. Everything here
is decided from the header alone, in milliseconds, however large the file claims to be.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from lora_checks.errors import LoraFileError

MAX_HEADER = 100_000_000  # bytes, the limit of the safetensors library
MAX_TENSORS = 100_000
MAX_COMMAS = 10 * MAX_TENSORS  # bounds the parsing itself: half a million empty tensors take 27 s to load
MAX_AXES = 8

# Bits of one value.
DTYPES = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "U16": 16, "I16": 16, "F16": 16,
    "BF16": 16, "U32": 32, "I32": 32, "F32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int  # offset in the file
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def shown(name: str) -> str:
    """A name out of a file, fit for a message: quoted, escaped and not endless."""
    return repr(name if len(name) <= 100 else name[:97] + "...")


def read_header(file: BinaryIO, size: int, suffix: str) -> Header:
    """Parse the header of an open file of ``size`` bytes; `LoraFileError` says what is wrong with it."""
    head = file.read(512)
    length = int.from_bytes(head[:8], "little")
    if size < 8 or head[8:9] != b"{":
        raise LoraFileError(_other_format(head, suffix))
    if length > MAX_HEADER:
        raise LoraFileError(f"claims a header of {length:,} bytes; the file is damaged or malicious")
    if 8 + length > size:
        raise LoraFileError(f"is truncated: it ends after {size:,} bytes, inside its header; copy it again")
    file.seek(8)
    entries = _parse(file.read(length))
    metadata = _metadata(entries.pop("__metadata__", {}))
    if len(entries) > MAX_TENSORS:
        raise LoraFileError(f"holds {len(entries):,} tensors, more than any LoRA ({MAX_TENSORS:,})")
    tensors = {name: _tensor(name, entry, 8 + length) for name, entry in entries.items()}
    _check_extent(tensors, 8 + length, size)
    return Header(tensors, metadata)


def _other_format(head: bytes, suffix: str) -> str:
    """What a file is that is not safetensors. Only asked then: 3 % of good files start like a pickle."""
    text = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if not head:
        return "is empty (0 bytes); copy or export it again"
    if len(head) < 9 and not text.startswith(b"<"):
        return f"is truncated to {len(head)} bytes; copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "is a git-LFS pointer, not the file itself; run `git lfs pull`"
    if text.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "is a web page, not a LoRA; the download failed (a login page?), download it again"
    if head.startswith((b"\x80", b"PK")) or suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl"):
        return (
            "is a pickle and could run code: safetensors only; where you trust it, convert it with "
            "safetensors.torch.save_file(torch.load(OLD, weights_only=True), NEW)"
        )
    if head.startswith(b"GGUF"):
        return "is a GGUF file; only safetensors LoRAs are read"
    return "is not a safetensors file (no JSON header at byte 8); export it again"


def _parse(data: bytes) -> dict[str, Any]:
    if data.count(b",") > MAX_COMMAS:
        raise LoraFileError(f"has a header with more entries than any LoRA ({MAX_TENSORS:,} tensors)")
    try:
        entries = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LoraFileError(f"has a damaged header (not JSON: {str(error)[:100]}); export it again") from None
    if not isinstance(entries, dict):
        raise LoraFileError("has a damaged header (not a JSON object); export it again")
    return entries


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        seen: set[str] = set()
        name = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise LoraFileError(f"names {shown(name)} twice in its header; readers disagree on which one counts")
    return entries


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _metadata(entry: Any) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(value, str) for value in entry.values()):
        raise LoraFileError("has a damaged header: __metadata__ is not a mapping of texts")
    return entry


def _tensor(name: str, entry: Any, start: int) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise LoraFileError(
            f"has a damaged header: tensor {shown(name)} is not described by dtype, shape and offsets"
        )
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise LoraFileError(f"has tensor {shown(name)} of unknown dtype {shown(str(dtype))}")
    if not _counts(shape) or len(shape) > MAX_AXES or not _counts(offsets) or len(offsets) != 2:
        raise LoraFileError(f"has a damaged header: shape or offsets of tensor {shown(name)}")
    begin, end = offsets
    if math.prod(shape) * DTYPES[dtype] != (end - begin) * 8:
        raise LoraFileError(
            f"has a damaged header: tensor {shown(name)} {dtype} {shape} does not fit {end - begin:,} bytes"
        )
    return Tensor(name, dtype, tuple(shape), start + begin, start + end)


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**63 for item in value)


def _check_extent(tensors: Mapping[str, Tensor], start: int, size: int) -> None:
    """The tensors must fill the rest of the file, without gaps and without sharing bytes."""
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
