"""Read the header of a .gguf file: which tensors it has, of which types and sizes."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, first_line

_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class GgufFile:
    """What a .gguf file says of itself."""

    architecture: str  # "flux"; "" if it does not say
    types: tuple[str, ...]  # of its tensors, that of most bytes first: "Q4_K", "F16"
    bytes_by_type: tuple[int, ...]  # in the same order

    @property
    def size(self) -> int:
        """Bytes of all weights, which stay as they are in the file."""
        return sum(self.bytes_by_type)


def read(path: Path) -> GgufFile:
    """Read a header, without the weights.

    Raises:
        ConfigError: The file is damaged, incomplete or none.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise ConfigError(f"{path}: is no GGUF file: it does not begin with 'GGUF'; download it again")
    gguf: Any = importlib.import_module("gguf")
    try:
        reader = gguf.GGUFReader(path)
        field = reader.get_field("general.architecture")
        architecture = str(field.contents()) if field is not None else ""
        sizes: Counter[str] = Counter()
        for tensor in reader.tensors:
            sizes[tensor.tensor_type.name] += int(tensor.n_bytes)
    except Exception as error:  # of a damaged file numpy raises several kinds
        raise ConfigError(
            f"{path}: the GGUF file is damaged or incomplete ({first_line(error)}); download it again"
        ) from None
    if not sizes:
        raise ConfigError(f"{path}: the GGUF file has no tensors; download it again")
    types = sizes.most_common()
    return GgufFile(architecture, tuple(name for name, _ in types), tuple(size for _, size in types))


def refuse_unknown(path: Path, found: GgufFile) -> None:
    """Raise `ConfigError` for types of weights that diffusers does not read."""
    utils: Any = importlib.import_module("diffusers.quantizers.gguf.utils")
    known = {kind.name for kind in utils.SUPPORTED_GGUF_QUANT_TYPES} | {"F32", "F16"}
    unknown = [name for name in found.types if name not in known]
    if unknown:
        raise ConfigError(
            f"{path}: has weights of type {', '.join(unknown)}, which diffusers does not read; it reads "
            f"{', '.join(sorted(known))}: take another file of this model"
        )
