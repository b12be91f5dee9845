"""Inspect a LoRA file and return a `Lora`, or explain why it cannot be gated. Loads no torch and no model.

diffusers silently accepts many broken files and then generates the base's images, so everything that the file
alone reveals is checked here first.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import Lora, LoraLayer
from lora_checks.lora.adapters import Adapters, adapters_of
from lora_checks.lora.bundles import Bundle, bundle_of, joined, read_config
from lora_checks.lora.dead import check_not_all_dead, is_dead
from lora_checks.lora.facts import facts_of, software_of
from lora_checks.lora.families import families_of
from lora_checks.lora.find import find_loras, lora_names
from lora_checks.lora.header import Header, Tensor, read_header
from lora_checks.lora.layers import Layer, kinds_of, layers_of
from lora_checks.lora.numbered import numbered_of
from lora_checks.lora.opening import open_regular
from lora_checks.lora.others import embeddings_beside
from lora_checks.lora.refused import check_peft
from lora_checks.lora.said import said_families
from lora_checks.lora.scaling import Strength, strengths_of
from lora_checks.lora.values import Values, read_values, scalar
from lora_checks.lora.warnings import warnings_of

__all__ = ["find_loras", "inspect", "lora_names"]


def inspect(path: Path, name: str) -> Lora:
    """Read the header, the digests and the weights of one LoRA, through one open handle for each file.

    Errors in the header are reported before the rest is read. Raises `LoraFileError`.
    """
    return inspect_tensors(path, name)[0]


def inspect_tensors(path: Path, name: str) -> tuple[Lora, Mapping[str, Tensor]]:
    """Call `inspect`, and also return where each tensor is in the file."""
    try:
        bundle = bundle_of(path)
        with ExitStack() as stack:
            files = [stack.enter_context(open_regular(part)) for part in bundle.weights]
            return _inspect(files, bundle, name)
    except LoraFileError as error:
        raise LoraFileError(f"{path} {error}") from None
    except OSError as error:
        raise LoraFileError(f"{path} cannot be read: {error.strerror}") from error


def _inspect(files: Sequence[BinaryIO], bundle: Bundle, name: str) -> tuple[Lora, Mapping[str, Tensor]]:
    header, tensors = _headers(files, bundle)
    layers = layers_of(tensors, flux="FLUX.1" in said_families(header.metadata))
    config = None if bundle.config is None else read_config(bundle.config)
    values = read_values(files, tensors, config or b"")
    adapters = adapters_of(header.metadata, layers, config)
    _check_stated(layers, adapters)
    numbered = numbered_of((layer.name for layer in layers), header.metadata)
    strengths = strengths_of(layers, _alphas(layers, values), adapters.by_component)
    dead = {layer.name for layer in layers if is_dead(layer, values.alive)}
    check_not_all_dead(layers, dead, values.alive)
    records = tuple(_record(layer, strengths[layer.name], layer.name in dead) for layer in layers)
    families = families_of(layers)
    lora = Lora(
        path=bundle.path,
        name=name,
        sha256=values.sha256,
        kind=_kind(layers, header.metadata),
        ranks=tuple(sorted({record.rank for record in records if record.rank})),
        alphas=tuple(sorted({s.alpha for s in strengths.values() if s.alpha is not None})),
        components=dict(Counter(record.component for record in records)),
        tensors=len(tensors),
        algorithms=_by_frequency(records),
        families=families,
        layers=records,
        tensors_sha256=values.tensors_sha256,
        facts=facts_of(header.metadata),
        warnings=(
            *warnings_of(replace(header, tensors=tensors), layers, strengths, values, dead, families),
            *adapters.notes,
            *embeddings_beside(bundle.path),
        ),
        second=bundle.second,
        config=bundle.config,
        numbered=numbered,
    )
    return lora, tensors


def _headers(files: Sequence[BinaryIO], bundle: Bundle) -> tuple[Header, dict[str, Tensor]]:
    """Return the first file's header, and the tensors of all files."""
    headers = []
    for file, path in zip(files, bundle.weights, strict=True):
        try:
            headers.append(read_header(file, os.fstat(file.fileno()).st_size, path.suffix.lower()))
        except LoraFileError as error:
            half = f"belongs to {path.name}, which " if path == bundle.second else ""
            raise LoraFileError(f"{half}{error}") from None
    return headers[0], joined([header.tensors for header in headers])


def _check_stated(layers: Sequence[Layer], adapters: Adapters) -> None:
    """Raise `LoraFileError` for PEFT's layers without the configuration that states their strength."""
    for layer in layers:
        if layer.kind == "PEFT" and layer.place.component not in adapters.by_component:
            check_peft(layer.name)


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
