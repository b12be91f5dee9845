"""Inspect a LoRA file and return a `Lora`, or explain why it cannot be gated. Loads no torch and no model.

diffusers silently accepts many broken files and then generates the base's images, so everything that the file
alone reveals is checked here first.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.lora.adapters import adapters_of
from lora_checks.lora.dead import check_not_all_dead, is_dead
from lora_checks.lora.facts import facts_of, software_of
from lora_checks.lora.families import families_of
from lora_checks.lora.find import find_loras, lora_names
from lora_checks.lora.header import Tensor, read_header
from lora_checks.lora.layers import Layer, kinds_of, layers_of
from lora_checks.lora.opening import open_regular
from lora_checks.lora.others import embeddings_beside
from lora_checks.lora.said import said_families
from lora_checks.lora.scaling import Strength, strengths_of
from lora_checks.lora.values import Values, read_values, scalar
from lora_checks.lora.warnings import warnings_of

__all__ = ["find_loras", "inspect", "lora_names"]


def inspect(path: Path, name: str) -> Lora:
    """Read the header, the digests and the weights of one file, through one open handle.

    Errors in the header are reported before the rest is read. Raises `LoraFileError`.
    """
    return inspect_tensors(path, name)[0]


def inspect_tensors(path: Path, name: str) -> tuple[Lora, Mapping[str, Tensor]]:
    """Call `inspect`, and also return where each tensor is in the file."""
    try:
        with open_regular(path) as file:
            return _inspect(file, path, name)
    except LoraFileError as error:
        raise LoraFileError(f"{path} {error}") from None
    except OSError as error:
        raise LoraFileError(f"{path} cannot be read: {error.strerror}") from error


def _inspect(file: BinaryIO, path: Path, name: str) -> tuple[Lora, Mapping[str, Tensor]]:
    header = read_header(file, os.fstat(file.fileno()).st_size, path.suffix.lower())
    layers = layers_of(header.tensors, flux="FLUX.1" in said_families(header.metadata))
    values = read_values(file, header.tensors)
    adapters = adapters_of(header.metadata, layers)
    strengths = strengths_of(layers, _alphas(layers, values), adapters.by_component)
    dead = {layer.name for layer in layers if is_dead(layer, values.alive)}
    check_not_all_dead(layers, dead, values.alive)
    records = tuple(_record(layer, strengths[layer.name], layer.name in dead) for layer in layers)
    families = families_of(layers)
    lora = Lora(
        path=path,
        name=name,
        sha256=values.sha256,
        kind=_kind(layers, header.metadata),
        ranks=tuple(sorted({record.rank for record in records if record.rank})),
        alphas=tuple(sorted({s.alpha for s in strengths.values() if s.alpha is not None})),
        components=dict(Counter(record.component for record in records)),
        tensors=len(header.tensors),
        algorithms=_by_frequency(records),
        families=families,
        layers=records,
        tensors_sha256=values.tensors_sha256,
        facts=facts_of(header.metadata),
        warnings=(
            *warnings_of(header, layers, strengths, values, dead, families),
            *adapters.notes,
            *embeddings_beside(path),
        ),
    )
    return lora, header.tensors


def _alphas(layers: tuple[Layer, ...], values: Values) -> dict[str, float]:
    """Return the value of the alpha tensor of each layer that has one."""
    return {layer.name: scalar(layer.parts["alpha"], values) for layer in layers if "alpha" in layer.parts}


def _record(layer: Layer, strength: Strength, dead: bool) -> LoraLayer:
    return LoraLayer(
        name=layer.name,
        component=layer.place.component,
        targets=layer.place.targets,
        algorithm=layer.anatomy.algorithm,
        parts={part: tensor.name for part, tensor in layer.parts.items()},
        rank=layer.anatomy.rank,
        scaling=strength.scaling,
        dead=dead,
        swapped=layer.swapped,
    )


def _by_frequency(records: tuple[LoraLayer, ...]) -> tuple[str, ...]:
    counts = Counter(record.algorithm for record in records)
    return tuple(algorithm for algorithm, _ in counts.most_common())


def _kind(layers: tuple[Layer, ...], metadata: Mapping[str, str]) -> str:
    """Return the naming scheme; only its metadata tells ai-toolkit from diffusers or ComfyUI."""
    kind = kinds_of(layers)
    dotted = kind in ("diffusers", "ComfyUI", "BFL")
    return "ai-toolkit" if dotted and software_of(metadata).startswith("ai-toolkit") else kind
