"""Files that are no safetensors files at all: the wrong one was named, or its download failed."""

# ruff: noqa: E501  # a table: one row for each file
from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .entry import GOOD, Entry, layer

PICKLE = (
    "is a pickle and could run code: safetensors only; if you trust it, convert it with "
    "safetensors.torch.save_file(torch.load(OLD, map_location='cpu', weights_only=True), NEW)"
)
UNPACK = "not a LoRA; unpack it and gate the .safetensors file in it"
PICTURE = "not a LoRA; name the .safetensors file beside it"
TEXT = "not a LoRA, and starts …; name the .safetensors file, or download it again"


class Payload:
    """A pickle that writes a file when it is loaded, were anybody to load it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._path,)


def executed(path: Path) -> Path:
    """What a `Payload` at ``path`` would write."""
    return path.with_name("executed")


def payload(path: Path) -> None:
    path.write_bytes(pickle.dumps({"a": Payload(executed(path))}))


def payload_zip(path: Path) -> None:
    """The same in the layout of torch.save."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": Payload(executed(path))}))
        archive.writestr("archive/version", "3\n")


def saved_by_torch(**how: Any) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        import torch

        torch.save({name: torch.from_numpy(value) for name, value in layer().items()}, path, **how)

    return make


def torchscript(path: Path) -> None:
    import torch

    with warnings.catch_warnings(action="ignore", category=FutureWarning):
        torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("lora.safetensors", GOOD)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("lora.safetensors")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


INDEX = {"metadata": {"total_size": 4}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 13457\n" % 0

ENTRIES = (
    # broken off
    Entry("empty", b"", "is empty (0 bytes); copy or export it again"),
    Entry("one byte", b"\x10", "is truncated to 1 bytes; copy it again"),
    Entry("cut inside the length", GOOD[:7], "is truncated to 7 bytes; copy it again"),
    Entry("cut behind the length", GOOD[:8], "is truncated to 8 bytes; copy it again"),
    Entry("starts like a pickle, cut", b"\x80\1\0\0\0\0\0\0", "is truncated to 8 bytes; copy it again"),
    Entry(
        "preallocated and never downloaded",
        b"\0" * 4096,
        "holds zeros where its header belongs; the download or copy was broken off, repeat it",
    ),
    # pickles, by whatever name
    Entry("torch.save", saved_by_torch(), PICKLE, "a.pt"),
    Entry("torch.save, renamed", saved_by_torch(), PICKLE),
    Entry("torch.save of old", saved_by_torch(_use_new_zipfile_serialization=False), PICKLE, "a.bin"),
    Entry("torch.save of old, renamed", saved_by_torch(_use_new_zipfile_serialization=False), PICKLE),
    Entry("TorchScript", torchscript, PICKLE),
    Entry("pickle with a payload", payload, PICKLE, "a.ckpt"),
    Entry("pickle with a payload, renamed", payload, PICKLE),
    Entry("torch.save with a payload, renamed", payload_zip, PICKLE),
    Entry("pickle protocol 0", pickle.dumps({"weight": [1.0] * 9}, 0), PICKLE, "a.pkl"),
    Entry("suffix of a pickle", bytes(range(1, 99)), PICKLE, "a.ckpt"),
    # other containers
    Entry("GGUF", b"GGUF\3\0\0\0" + b"\0" * 40, "is a GGUF file; only safetensors LoRAs are read"),
    Entry("zip", zipped(), f"is a zip archive, {UNPACK}", "a.zip"),
    Entry("zip, renamed", zipped(), f"is a zip archive, {UNPACK}"),
    Entry("tar", tarred(), f"is a tar archive, {UNPACK}", "a.tar"),
    Entry("gzip", gzip.compress(GOOD), f"is a gzip archive, {UNPACK}"),
    Entry("7z", b"7z\xbc\xaf\x27\x1c\0\4" + b"\1" * 40, f"is a 7z archive, {UNPACK}"),
    Entry("RAR", b"Rar!\x1a\7\1\0" + b"\1" * 40, f"is a RAR archive, {UNPACK}"),
    Entry("zstd", b"\x28\xb5\x2f\xfd" + b"\1" * 40, f"is a zstd archive, {UNPACK}"),
    Entry("xz", b"\xfd7zXZ\0" + b"\1" * 40, f"is an xz archive, {UNPACK}"),
    Entry("NumPy", npy(), "is a NumPy array; only safetensors LoRAs are read", "a.npy"),
    Entry("HDF5", b"\x89HDF\r\n\x1a\n" + b"\1" * 40, "is an HDF5 file; only safetensors LoRAs are read"),
    Entry("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\1" * 40, f"is a picture (PNG), {PICTURE}"),
    Entry("JPEG", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\1" * 40, f"is a picture (JPEG), {PICTURE}"),
    Entry("WebP", b"RIFF\x24\1\0\0WEBPVP8 ", f"is a picture or sound (RIFF), {PICTURE}"),
    Entry("PDF", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "is a PDF, not a LoRA; name the .safetensors file"),
    Entry("ELF", b"\x7fELF\2\1\1\0" + b"\1" * 40, "is a program (ELF), not a LoRA; name the .safetensors file"),
    Entry(
        "noise",
        bytes(range(100, 200)),
        "is not a safetensors file (no JSON header at byte 8); export it again",
    ),
    # what a download wrote in its place
    Entry("git-LFS pointer", POINTER, "is a git-LFS pointer, not the file itself; run `git lfs pull`"),
    Entry("git-LFS pointer in DOS lines", POINTER.replace(b"\n", b"\r\n"), "is a git-LFS pointer, …`"),
    *(
        Entry(
            f"web page: {page[:14]!r}",
            page,
            "is a web page, not a LoRA; the download failed (a login page?), download it again",
        )
        for page in (
            b"\n <!DOCTYPE html><title>Sign in</title>",
            b"\xef\xbb\xbf<html><head></head></html>",
            b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        )
    ),
    Entry("message of the hub", b"Invalid username or password.", f"is text, {TEXT}"),
    Entry("JSON error", b'{"error":"Unauthorized"}', f"is JSON text, {TEXT}"),
    Entry("JSON error with { at byte 8", b'{"meta":{"code":401}}', f"is JSON text, {TEXT}"),
    Entry(
        "index of shards",
        json.dumps(INDEX, indent=2).encode(),
        "is an index of shards, not the weights; merge the shards into one file and gate that",
        "a.safetensors.index.json",
    ),
    Entry("adapter_config.json", b'{"peft_type": "LORA", "r": 4}', f"is JSON text, {TEXT}", "a.json"),
    Entry("YAML", b"job: extension\nconfig:\n  name: lora\n", f"is text, {TEXT}", "a.yaml"),
)  # fmt: skip
