"""Warnings about a LoRA file: sentences about oddities that are not errors."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from lora_checks.core.words import count
from lora_checks.lora.header import Header, Tensor, shown
from lora_checks.lora.layers import Layer
from lora_checks.lora.numbered import KIND as NUMBERED
from lora_checks.lora.other_alphas import other_alphas
from lora_checks.lora.said import said_families
from lora_checks.lora.scaling import Strength
from lora_checks.lora.spelling import adapter_in, split_prefix
from lora_checks.lora.values import Values

LEAST, MOST = 1 / 64, 8.0  # alpha / rank outside this range is rarely intended
_LARGE = 1 << 20  # bytes; smaller files may be float32
_ATTENTION = re.compile(r"(.*attn\d?)_(?:(add)_)?(?:to_)?([qkv])(?:_proj)?")


def warnings_of(
    header: Header,
    layers: Sequence[Layer],
    strengths: Mapping[str, Strength],
    values: Values,
    dead: Collection[str],
    families: Sequence[str],
) -> tuple[str, ...]:
    """Return the warnings about a file."""
    return (
        *_dead(layers, dead),
        *_missing(layers),
        *_magnitudes(layers),
        *_scalings(layers, strengths),
        *_names(header.tensors, layers),
        *_numbers(header, values),
        *_metadata(header.metadata, layers, values, families),
        *other_alphas(header.metadata, layers, strengths),
    )


def _dead(layers: Sequence[Layer], dead: Collection[str]) -> Iterator[str]:
    if dead:
        first = next(layer.name for layer in layers if layer.name in dead)
        verb, more = ("adds", "") if len(dead) == 1 else ("add", ", and so on")
        yield f"{len(dead)} of {len(layers)} layers {verb} nothing: a factor of {shown(first)} is zero{more}"


def _missing(layers: Sequence[Layer]) -> Iterator[str]:
    """Warn about attentions that lack a q, k or v layer that most of their kind (attn1, attn2, ...) have."""
    blocks: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for layer in layers:
        for target in layer.place.targets:
            if match := _ATTENTION.fullmatch(target):
                path, added, letter = match.groups()
                blocks[layer.place.component, path, added or ""].add(letter)
    usual = _usual(blocks)
    lacking = [(key, usual[_sort(key)] - had) for key, had in blocks.items() if usual[_sort(key)] - had]
    if lacking:
        (component, path, _), letters = lacking[0]
        names = " and ".join(sorted(letters))
        yield (
            f"{len(lacking)} of {count(len(blocks), 'attention')} lack what most of their kind have: "
            f"no {names} in {component} {shown(path)}"
        )


def _magnitudes(layers: Sequence[Layer]) -> Iterator[str]:
    """Warn if only some layers have magnitudes; trainers give them to all or none."""
    without = [layer.name for layer in layers if layer.anatomy.algorithm in ("lora", "loha", "lokr")]
    if without and any(layer.anatomy.algorithm in ("dora", "doha", "dokr") for layer in layers):
        first = shown(without[0])
        yield f"{len(without)} of {len(layers)} layers lack the magnitudes that the others have: {first}"


def _names(tensors: Mapping[str, Tensor], layers: Sequence[Layer]) -> Iterator[str]:
    """Warn about names that are understood here but that diffusers' pipelines do not load."""
    adapter = next(filter(None, map(adapter_in, tensors)), None)
    if adapter:
        yield (
            f"the adapter's name {shown(adapter)} is left in its keys: diffusers loads it for Qwen-Image and "
            "Z-Image only; save it with save_lora_adapter or save_lora_weights"
        )
    if any(layer.kind == NUMBERED for layer in layers):
        yield "its layers are numbered and not named, so that diffusers' load_lora_weights uses none of them"
    plain = [layer.name for layer in layers if not split_prefix(layer.name).kind]
    if plain and all(layer.kind == "diffusers" and layer.place.component == "unet" for layer in layers):
        yield (
            f"its keys name no network ({shown(plain[0])}): load_lora_weights of diffusers' pipelines uses "
            "none of them; save it with a pipeline's save_lora_weights"
        )


def _sort(key: tuple[str, str, str]) -> tuple[str, str, str]:
    component, path, added = key
    return component, path.rpartition("_")[2], added


def _usual(blocks: Mapping[tuple[str, str, str], set[str]]) -> dict[tuple[str, str, str], frozenset[str]]:
    counts: dict[tuple[str, str, str], Counter[frozenset[str]]] = defaultdict(Counter)
    for key, had in blocks.items():
        counts[_sort(key)][frozenset(had)] += 1
    return {sort: counted.most_common(1)[0][0] for sort, counted in counts.items()}


def _scalings(layers: Sequence[Layer], strengths: Mapping[str, Strength]) -> Iterator[str]:
    odd = [layer.name for layer in layers if not LEAST <= strengths[layer.name].scaling <= MOST]
    if odd:
        strength = strengths[odd[0]]
        yield (
            f"{count(len(odd), 'layer')} with a strength outside 1/64 to 8: {shown(odd[0])} "
            f"has {strength.scaling:.3g} (alpha {strength.alpha or 0:g})"
        )


def _numbers(header: Header, values: Values) -> Iterator[str]:
    if values.huge:
        name = next(name for name in header.tensors if name in values.huge)
        yield f"values beyond 65504 in {shown(name)}: they become infinite in float16"
    size = sum(tensor.end - tensor.begin for tensor in header.tensors.values() if tensor.dtype == "F32")
    if size > _LARGE:
        yield f"stored as F32; as F16 or BF16 it is {size // 2_000_000} MB smaller"


def _metadata(
    metadata: Mapping[str, str], layers: Sequence[Layer], values: Values, families: Sequence[str]
) -> Iterator[str]:
    stated = said_families(metadata)
    if stated and families and not set(stated).intersection(families):
        yield f"the metadata says {' or '.join(stated)}, the layers are of {' or '.join(families)}"
    dim = metadata.get("ss_network_dim", "")
    ranks = {layer.anatomy.rank for layer in layers if layer.anatomy.rank}
    if dim.isascii() and dim.isdigit() and len(dim) < 6 and ranks and int(dim) not in ranks:
        yield f"the metadata says rank {dim} (ss_network_dim), the matrices have {_some(sorted(ranks))}"
    digest = metadata.get("sshs_model_hash", "")
    if re.fullmatch("[0-9a-f]{64}", digest) and digest != values.tensors_sha256:
        yield "its weights were changed after training: the metadata has another digest (sshs_model_hash)"


def _some(numbers: Sequence[int]) -> str:
    return "/".join(map(str, numbers[:4])) + ("/..." if len(numbers) > 4 else "")
