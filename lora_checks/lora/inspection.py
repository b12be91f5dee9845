"""The result of ``python -m lora_checks inspect`` for each file, as a record and as JSON."""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.lora.file import find_loras, inspect_tensors, lora_names
from lora_checks.lora.norms import norms_of

_BLOCK = re.compile(
    r"(?:down_blocks|up_blocks|(?:single_)?transformer_blocks|encoder_(?:layers|block))_\d+|mid_block"
    r"|[a-z_]*?(?:blocks|layers)_\d+"  # of models that are known by their own names alone
)


@dataclass(frozen=True, slots=True)
class Inspected:
    """An inspected file: its `Lora`, or the reason why it cannot be gated."""

    path: Path
    size: int  # bytes; 0 if there is no file
    lora: Lora | None = None
    norms: Mapping[str, float] = field(default_factory=dict)  # layer -> norm of what it adds
    error: str = ""
    loading: Mapping[str, Any] = field(default_factory=dict)  # what diffusers loads on a base; {}: not asked

    @property
    def norm(self) -> float:
        """Norm of everything that the LoRA adds."""
        return math.hypot(*self.norms.values())


def inspect_all(arguments: Sequence[str], root: Path) -> list[Inspected]:
    """Inspect every file that the arguments name; a bad file does not stop the others.

    Raises:
        ConfigError: An argument matches no file.
    """
    try:
        paths = find_loras(arguments, root)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("--lora: ")) from None
    return [_inspected(path, name) for path, name in zip(paths, lora_names(paths), strict=True)]


def _inspected(path: Path, name: str) -> Inspected:
    size = path.stat().st_size if path.is_file() else 0
    try:
        lora, tensors = inspect_tensors(path, name)
        return Inspected(path, size, lora, norms_of(lora, tensors))
    except LoraFileError as error:
        return Inspected(path, size, error=str(error))


def block_of(layer: LoraLayer) -> str:
    """Return the block of the base that contains a layer, or "" if it is outside the blocks."""
    match = _BLOCK.match(layer.targets[0])
    return match.group() if match else ""


def block_norms(found: Inspected) -> dict[tuple[str, str], float]:
    """Return the norm of all changes in each (component, block), in model order."""
    squares: dict[tuple[str, str], float] = defaultdict(float)
    for layer in found.lora.layers if found.lora else ():
        squares[layer.component, block_of(layer)] += found.norms[layer.name] ** 2
    return {key: math.sqrt(squares[key]) for key in sorted(squares, key=_model_order)}


def _model_order(key: tuple[str, str]) -> tuple[str, int, str, int]:
    component, block = key
    name, _, number = block.rpartition("_")
    levels = ("down", "mid", "up")
    head = block.split("_")[0]
    place = levels.index(head) if head in levels else 3
    return component, place, name, int(number) if number.isdigit() else -1


def as_json(found: Sequence[Inspected]) -> dict[str, Any]:
    """Return the results as a JSON object."""
    return {"files": [_entry(inspected) for inspected in found]}


def _entry(found: Inspected) -> dict[str, Any]:
    if found.lora is None:
        return {"path": str(found.path), "size": found.size, "error": found.error}
    entry = dataclasses.asdict(found.lora) | {"path": str(found.path), "size": found.size}
    for layer in entry["layers"]:
        layer["norm"] = found.norms[layer["name"]]
    blocks = [
        {"component": component, "block": block, "norm": norm}
        for (component, block), norm in block_norms(found).items()
    ]
    asked = {"diffusers": dict(found.loading)} if found.loading else {}
    return entry | {"norm": found.norm, "blocks": blocks, **asked}
