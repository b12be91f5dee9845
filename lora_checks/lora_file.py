"""A LoRA file -> `Lora`, or one sentence on why it cannot be gated. No torch, and no model, is loaded.

diffusers loads many a broken file without a word and then generates the base's images, so everything
that can be known from the file is checked here first.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import Counter
from io import BufferedReader
from pathlib import Path

from lora_checks.errors import LoraFileError
from lora_checks.lora_find import find_loras, lora_names
from lora_checks.lora_header import read_header
from lora_checks.lora_layers import layers_of
from lora_checks.lora_values import alphas_of, check_weights
from lora_checks.records import Lora

__all__ = ["find_loras", "inspect", "lora_names"]


def inspect(path: Path, name: str) -> Lora:
    """Read the header, the digest and the weights of one file, through one open handle.

    Faults of the header are found before the rest is read. Raises `LoraFileError`.
    """
    try:
        _check_regular(path)
        with path.open("rb") as file:
            return _inspect(file, path, name)
    except LoraFileError as error:
        raise LoraFileError(f"{path} {error}") from None
    except OSError as error:
        raise LoraFileError(f"{path} cannot be read: {error.strerror}") from error


def _check_regular(path: Path) -> None:
    """Before opening: to open a FIFO would wait for ever."""
    if path.is_symlink() and not path.exists():
        raise LoraFileError(f"is a link to {os.readlink(path)}, which does not exist")  # noqa: PTH115
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise LoraFileError("is a directory, not a file")
    if not stat.S_ISREG(mode):
        raise LoraFileError("is not a regular file (a pipe, socket or device)")


def _inspect(file: BufferedReader, path: Path, name: str) -> Lora:
    header = read_header(file, os.fstat(file.fileno()).st_size, path.suffix.lower())
    kind, layers = layers_of(header.tensors)
    alphas = alphas_of(file, header, layers)
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    check_weights(file, layers)
    return Lora(
        path=path,
        name=name,
        sha256=sha256,
        kind=kind,
        ranks=tuple(sorted({layer.rank for layer in layers})),
        alphas=alphas,
        components=dict(Counter(layer.component for layer in layers)),
        tensors=len(header.tensors),
    )
