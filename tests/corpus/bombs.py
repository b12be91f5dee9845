"""Files that would cost a reader minutes or gigabytes."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

from safetensors.numpy import save

from .entry import Entry, K, Q, described, kohya, layer, peft, raw

EMPTY = json.dumps(described(0, 0, shape=[0])).encode()
NO_ENTRY = "has a damaged header: tensor 'a' is not described by dtype, shape and offsets"
NOT_JSON = "has a damaged header (not JSON: …); export it again"
ENTRIES_ = "has a header with more entries than any LoRA (20,000 tensors)"
LONG = (
    "has a header of {:,} bytes, more than any LoRA needs (25,000,000); "
    "export it without metadata (--no_metadata of sd-scripts)"
)
MB = 1_000_000


def header(make: Callable[[], bytes]) -> Callable[[Path], object]:
    """Made when it is needed: a table of files should not weigh half a gigabyte."""
    return lambda path: path.write_bytes(raw(make()))


def many(count: int, dtype: bytes = b'"dtype"') -> bytes:
    entry = EMPTY.replace(b'"dtype"', dtype)
    return b"{" + b",".join(b'"%d":%s' % (i, entry) for i in range(count)) + b"}"


def metadata(text: bytes) -> bytes:
    return b'{"__metadata__":{' + text + b"}}"


def sparse(size: int, head: bytes = b"") -> Callable[[Path], object]:
    """A file of ``size`` bytes that takes no room on the disk."""

    def make(path: Path) -> None:
        path.write_bytes(head)
        os.truncate(path, size)

    return make


def sparse_lora(size: int) -> bytes:
    """Header of a LoRA whose lora_B is all the rest of a file of about ``size`` bytes."""
    rows = size // 8
    entries = {
        f"{Q}.lora_A.weight": described(0, 64, shape=[2, 8]),
        f"{Q}.lora_B.weight": described(64, 64 + rows * 8, shape=[rows, 2]),
    }
    return raw(entries)


def exactly(head: bytes, size: int) -> Callable[[Path], object]:
    return sparse(len(head) + 64 + size // 8 * 8, head)


ENTRIES = (
    Entry("500,000 empty tensors", header(lambda: many(500_000)), LONG.format(31_888_891)),
    Entry("100,000 empty tensors", header(lambda: many(100_000)), ENTRIES_),
    Entry("20,001 empty tensors", header(lambda: many(20_001)), "holds more tensors than any LoRA (20,000)"),
    Entry("100,000 tensors with an escaped key", header(lambda: many(100_000, rb'"\u0064type"')), ENTRIES_),
    Entry("20,000 empty tensors of a LoRA", header(lambda: many(20_000)), "has no LoRA keys among its 20000 tensors, such as '0'"),
    Entry("100 MB of spaces", header(lambda: b"{}" + b" " * (100 * MB - 2)), LONG.format(100 * MB)),
    Entry("25 MB of spaces", header(lambda: b"{}" + b" " * (25 * MB - 2)), "holds no tensors"),
    Entry("25 MB of line breaks in front of a fault", header(lambda: b"{" + b"\n" * (25 * MB - 2) + b"x"), NOT_JSON),
    Entry("25 MB of brackets", header(lambda: b'{"a":' + b"[" * 24 * MB), NO_ENTRY),
    Entry("25 MB of braces", header(lambda: b'{"a":' + b"{" * 24 * MB), NO_ENTRY),
    Entry("8 million empty arrays", header(lambda: b'{"a":[' + b"[]," * 8 * MB + b"[]]}"), NO_ENTRY),
    Entry("8 million empty arrays in an entry", header(lambda: b'{"a":{"shape":[' + b"[]," * 8 * MB + b"[]]}}"), NO_ENTRY),
    Entry("12 million numbers in a shape", header(lambda: b'{"a":{"shape":[' + b"1," * 12 * MB + b"1]}}"), NO_ENTRY),
    Entry("a number of 24 million digits", header(lambda: b'{"a":{"shape":[' + b"9" * 24 * MB + b"]}}"), NO_ENTRY),
    Entry("one open text of 24 MB", header(lambda: b'{"' + b"a" * 24 * MB), NOT_JSON),
    Entry("one open text of backslashes", header(lambda: b'{"' + b"\\\\" * 12 * MB), NOT_JSON),
    Entry("a name of 24 MB of emoji", header(lambda: b'{"' + "\U0001f600".encode() * 6 * MB + b'":1}'), NOT_JSON),
    Entry("1,000,000 entries of metadata", header(lambda: metadata(b",".join(b'"%d":""' % i for i in range(MB)))), ENTRIES_),
    Entry("10,001 entries of metadata", header(lambda: metadata(b",".join(b'"%d":""' % i for i in range(10_001)))), "has more than 10,000 entries of metadata; export it without"),
    Entry("24 MB of emoji in one text of metadata", header(lambda: metadata(b'"a":"' + "\U0001f600".encode() * 6 * MB + b'"')), "holds no tensors"),
    Entry("24 MB of escapes in one text of metadata", header(lambda: metadata(b'"a":"' + rb"\u0061" * 4 * MB + b'"')), "holds no tensors"),
    Entry("a bomb in PEFT's metadata", lambda path: path.write_bytes(save(layer(), {"lora_adapter_metadata": '{"unet.lora_alpha":[' + "[]," * 8 * MB + "[]]}"})), "has 24,000,024 characters of lora_adapter_metadata, more than any adapter needs"),
    Entry("deep PEFT metadata", save(layer(), {"lora_adapter_metadata": "[" * 100_000}), "has damaged metadata: lora_adapter_metadata is not a PEFT configuration"),
    Entry("a number of 5000 digits in PEFT's metadata", save(layer(), {"lora_adapter_metadata": '{"unet.lora_alpha":' + "9" * 5000 + "}"}), "has damaged metadata: lora_adapter_metadata is not a PEFT configuration"),
    Entry("an alpha of 400 digits in PEFT's metadata", save(layer(), peft(lora_alpha=10**400)), "has damaged metadata: lora_adapter_metadata is not a PEFT configuration"),
    Entry("sparse file of 1 TB, zeros", sparse(10**12), "holds zeros where its header belongs; the download or copy was broken off, repeat it"),
    Entry("sparse file of 1 TB behind a LoRA", sparse(10**12, save(layer())), "has 1,000,000,000,000 bytes, more than any LoRA (32,000,000,000)"),
    Entry("sparse file of 1 TB that is all LoRA", exactly(sparse_lora(10**12), 10**12), "has 1,000,000,000,… bytes, more than any LoRA (32,000,000,000)"),
    Entry("sparse file with a header of 100 GB", sparse(2 * 10**11, struct.pack("<Q", 10**11) + b"{"), LONG.format(10**11)),
    Entry("alpha of 25 million numbers", lambda path: path.write_bytes(raw({f"{K}.alpha": described(0, 10**8, shape=[25 * MB])} , b"\1" * 10**8)), "has no LoRA keys …"),
    Entry("alpha of 25 million numbers in a LoRA", lambda path: path.write_bytes(alpha_bomb()), f"has '{K}.alpha' of F32 [25000000]; an alpha is one number"),
)  # fmt: skip


def alpha_bomb() -> bytes:
    import numpy as np

    return save(layer(K) | {f"{K}.alpha": np.ones(25 * MB, np.float32)} | kohya())
