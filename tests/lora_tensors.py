"""Tensors of LoRA layers, by algorithm and spelling, small and without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from lora_checks.core.records import Lora
from lora_checks.lora.file import inspect

Array = NDArray[Any]
Tensors = dict[str, Array]
Q = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q"

# How LyCORIS 4.1 shapes the parts for a weight of (rows, columns) or (rows, columns, 3, 3):
# modules/locon.py, loha.py, lokr.py, full.py.
ALGORITHMS = (
    "lora",
    "conv",
    "tucker",
    "loha",
    "loha tucker",
    "lokr",
    "lokr both",
    "lokr whole",
    "lokr tucker",
)
ROWS, COLUMNS = 8, 6


def parts(algorithm: str, rank: int = 2, seed: int = 0) -> Tensors:
    """Ending -> values of one layer that changes a weight of 8 x 6, or 8 x 6 x 3 x 3."""
    draw = np.random.default_rng(seed).normal
    shapes: Mapping[str, tuple[int, ...]] = {
        "lora": {".lora_down.weight": (rank, 6), ".lora_up.weight": (8, rank)},
        "conv": {".lora_down.weight": (rank, 6, 3, 3), ".lora_up.weight": (8, rank, 1, 1)},
        "tucker": {
            ".lora_down.weight": (rank, 6, 1, 1),
            ".lora_mid.weight": (rank, rank, 3, 3),
            ".lora_up.weight": (8, rank, 1, 1),
        },
        "loha": {f".hada_w{i}_{s}": (8, rank) if s == "a" else (rank, 6) for i in "12" for s in "ab"},
        "loha tucker": {
            **{f".hada_t{i}": (rank, rank, 3, 3) for i in "12"},
            **{f".hada_w{i}_{s}": (rank, 8) if s == "a" else (rank, 6) for i in "12" for s in "ab"},
        },
        "lokr": {".lokr_w1": (2, 3), ".lokr_w2_a": (4, rank), ".lokr_w2_b": (rank, 2)},
        "lokr both": {
            ".lokr_w1_a": (2, rank), ".lokr_w1_b": (rank, 3),
            ".lokr_w2_a": (4, rank), ".lokr_w2_b": (rank, 2),
        },
        "lokr whole": {".lokr_w1": (2, 3), ".lokr_w2": (4, 2)},
        "lokr tucker": {
            ".lokr_w1": (2, 3), ".lokr_t2": (rank, rank, 3, 3),
            ".lokr_w2_a": (rank, 4), ".lokr_w2_b": (rank, 2),
        },
        "full": {".diff": (8, 6), ".diff_b": (8,)},
    }[algorithm]  # fmt: skip
    return {ending: draw(size=shape).astype(np.float32) for ending, shape in shapes.items()}


def named(name: str, endings: Mapping[str, Array], **more: Array) -> Tensors:
    """``more``: "alpha", "dora_scale"."""
    return {name + ending: value for ending, value in endings.items()} | {
        f"{name}.{part}": np.asarray(value, np.float32) for part, value in more.items()
    }


def read(folder: Path, tensors: Tensors, metadata: Mapping[str, Any] | None = None) -> Lora:
    """The record of a file of these tensors; metadata that is no text is written as JSON."""
    texts = {key: v if isinstance(v, str) else json.dumps(v) for key, v in (metadata or {}).items()}
    save_file(tensors, folder / "a.safetensors", texts or None)
    return inspect(folder / "a.safetensors", "a")
