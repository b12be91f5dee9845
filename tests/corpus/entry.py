"""One file that the gate must not pass, and what its files are made of."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

Tensors = dict[str, NDArray[Any]]
Make = Callable[[Path], object]
Q = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
K = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k"
KOHYA = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"


@dataclass(frozen=True)
class Entry:
    """``says`` is the whole sentence behind the path; "…" stands for anything."""

    name: str
    content: bytes | Make  # the file, or what puts it (or something else) at the path it is given
    says: str
    file: str = "a.safetensors"
    needs_base: bool = False  # the file alone is without fault: what is wrong shows at application

    def build(self, folder: Path) -> Path:
        path = folder / self.file
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path

    @property
    def pattern(self) -> str:
        return re.escape(self.says).replace("…", ".*")


def layer(name: str = Q, rank: int = 4, dtype: type = np.float16, rows: int = 16) -> Tensors:
    """As diffusers and PEFT write it."""
    return {
        f"{name}.lora_A.weight": np.full((rank, 8), 0.5, dtype),
        f"{name}.lora_B.weight": np.full((rows, rank), 0.25, dtype),
    }


def kohya(name: str = KOHYA, alpha: float | None = 2.0, rank: int = 4) -> Tensors:
    """As sd-scripts writes it."""
    tensors: Tensors = {
        f"{name}.lora_down.weight": np.full((rank, 8), 0.5, np.float32),
        f"{name}.lora_up.weight": np.full((16, rank), 0.25, np.float32),
    }
    return tensors if alpha is None else tensors | {f"{name}.alpha": np.array(alpha, np.float32)}


def peft(**settings: object) -> dict[str, str]:
    """diffusers' metadata about the UNet's adapter."""
    return {"lora_adapter_metadata": json.dumps({f"unet.{key}": value for key, value in settings.items()})}


def raw(header: object, data: bytes = b"") -> bytes:
    """A file with any header at all."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def described(begin: int = 0, end: int = 4, **changes: object) -> dict[str, object]:
    """A tensor's entry in a header."""
    return {"dtype": "F32", "shape": [1], "data_offsets": [begin, end]} | changes


def one(text: bytes, name: bytes = b"a", count: int = 4) -> bytes:
    """A file with one tensor whose entry is this JSON."""
    return raw(b'{"%s":%s}' % (name, text), b"\0" * count)


def typed(tensors: Mapping[str, tuple[str, list[int], bytes]]) -> bytes:
    """A valid file with tensors of any dtype, NumPy's or not."""
    header: dict[str, object] = {}
    data = b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = described(len(data), len(data) + len(values), dtype=dtype, shape=shape)
        data += values
    return raw(header, data)


def recast(dtype: str, bits: int) -> bytes:
    """A LoRA whose weights are called by another dtype, with ones in every bit but the top one."""
    shapes = {"lora_A": [4, 8], "lora_B": [16, 4]}
    size = {part: shape[0] * shape[1] * bits // 8 for part, shape in shapes.items()}
    return typed({f"{Q}.{part}.weight": (dtype, shapes[part], b"\x3c" * size[part]) for part in shapes})


def without(tensors: Tensors, *parts: str) -> Tensors:
    return {name: value for name, value in tensors.items() if not any(part in name for part in parts)}


def replaced(tensors: Tensors, part: str, value: object, dtype: Any = None) -> Tensors:
    """Every tensor with ``part`` in its name filled with ``value``."""
    return {
        name: np.full_like(old, value, dtype=dtype or old.dtype) if part in name else old
        for name, old in tensors.items()
    }


GOOD = save(layer() | layer(K), {"format": "pt"})
