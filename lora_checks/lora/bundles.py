"""The files that make one LoRA: a file alone, PEFT's with its configuration, or a pair for two denoisers.

PEFT states a strength in ``adapter_config.json`` beside its weights (utils/save_and_load.py). Wan 2.2 has a
transformer for each half of the noise, and trainers write a file for each: ``..._high_noise.safetensors`` and
``..._low_noise.safetensors`` (ai-toolkit, extensions_built_in/diffusion_models/wan22/wan22_14b_model.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import Tensor, read_header
from lora_checks.lora.opening import open_regular
from lora_checks.lora.spelling import PEFT_PREFIX, split_prefix

CONFIG = "adapter_config.json"
MAX_CONFIG = 1_000_000  # bytes; all of SDXL with a pattern for each layer has 100,000
# The denoiser of each half, as diffusers' WanPipeline names them (`boundary_ratio`).
HALVES = {"high": "transformer", "low": "transformer_2"}
_HALF = re.compile(r"(.*[-_. ])(high|low)([-_. ]noise(?=$|[-_. ]).*)", re.IGNORECASE)
_WAN = re.compile(r"blocks[._]\d+[._](?:(?:self|cross)_attn|attn[12]|ffn)[._].*")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one LoRA, in the order in which they are hashed."""

    path: Path
    second: Path | None = None  # of a pair, the half for the low noise
    config: Path | None = None

    @property
    def weights(self) -> tuple[Path, ...]:
        return (self.path,) if self.second is None else (self.path, self.second)


def bundle_of(path: Path) -> Bundle:
    """Find what belongs to a file. Either half of a pair gives the same bundle.

    Raises:
        LoraFileError: The file is half of a pair, and the other half is not beside it.
    """
    names = _names(path)
    if any(name.startswith(PEFT_PREFIX) for name in names):
        config = path.with_name(CONFIG)
        return Bundle(path, config=config if config.is_file() else None)
    match = _HALF.fullmatch(path.name)
    if match is None or not any(_WAN.fullmatch(split_prefix(name).module) for name in names):
        return Bundle(path)
    half = match[2].lower()
    missing = "low" if half == "high" else "high"
    other = path.with_name(f"{match[1]}{_spelt(missing, match[2])}{match[3]}")
    if not other.is_file():
        raise LoraFileError(
            f"is the {half}-noise half of a LoRA for Wan 2.2, and {other.name} is not beside it: the base's "
            f"{HALVES[missing]} would stay as it is; put it there, or, if only this half was trained, write "
            f"'{HALVES[half]}.' before its names and call it something else"
        )
    return Bundle(path, other) if half == "high" else Bundle(other, path)


def first_of(path: Path) -> Path:
    """Return the first file of the LoRA that a file belongs to; most names tell that there is no other."""
    if _HALF.fullmatch(path.name) is None:
        return path
    try:
        return bundle_of(path).path
    except LoraFileError:  # told by `inspect`, as the verdict on this file
        return path


def lora_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) by which a LoRA is known: of its files, one after the other.

    Raises:
        LoraFileError, OSError: A file cannot be read.
    """
    bundle = bundle_of(path)
    whole = hashlib.sha256()
    for part in (*bundle.weights, *([bundle.config] if bundle.config else [])):
        with open_regular(part) as file:
            while chunk := file.read(1 << 20):
                whole.update(chunk)
    return whole.hexdigest()


def read_config(path: Path) -> bytes:
    """Read adapter_config.json. Raises `LoraFileError`."""
    with open_regular(path) as file:
        content = file.read(MAX_CONFIG + 1)
    if len(content) > MAX_CONFIG:
        raise LoraFileError(f"has a {CONFIG} of more than {MAX_CONFIG:,} bytes, more than any adapter needs")
    return content


def half_of(name: str, component: str) -> str:
    """Return a tensor's name with a half's component in place of whatever prefix it has."""
    return f"{component}.{split_prefix(name).module}"


def joined(halves: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the tensors of a pair under one name each: those of the second file are of transformer_2."""
    if len(halves) == 1:
        return dict(halves[0])
    return {
        name: replace(tensor, name=name, file=number)
        for number, (component, tensors) in enumerate(zip(HALVES.values(), halves, strict=True))
        for tensor in tensors.values()
        for name in (half_of(tensor.name, component),)
    }


def _spelt(half: str, like: str) -> str:
    return half.upper() if like.isupper() else half.capitalize() if like[0].isupper() else half


def _names(path: Path) -> tuple[str, ...]:
    """Return the tensors' names; () for a file whose header is bad, which its reader explains."""
    try:
        with ExitStack() as stack:
            file = stack.enter_context(open_regular(path))
            return tuple(read_header(file, os.fstat(file.fileno()).st_size, path.suffix.lower()).tensors)
    except (LoraFileError, OSError):
        return ()
