"""Determine a layer's algorithm, rank and weight shape from its tensors.

The parts and their shapes are those that LyCORIS 4.1 (modules/locon.py, loha.py, lokr.py, ...), PEFT
(tuners/lora, loha, lokr) and kohya's sd-scripts (networks/lora.py) write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import Tensor, shown

FLOATS = ("F16", "BF16", "F32")
NUMBERS = (*FLOATS, "F64", "I32", "I64")  # dtypes of an alpha
LABELS = {"down": "lora_A (down)", "up": "lora_B (up)"}

_Parts = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The algorithm of a layer and the shape of the weight that it changes."""

    algorithm: str
    rank: int | None  # None if the layer has no low-rank factors
    rows: int  # of the weight, its outputs
    columns: int  # of the weight, its inputs; times the kernel's size if ``flat``
    kernel: tuple[int, ...] = ()  # () for a linear layer, and if ``flat``
    flat: bool = False  # the kernel's axes are folded into the columns


@dataclass(frozen=True, slots=True)
class _Algorithm:
    name: str
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()


_HADA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
_LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2")
_ALGORITHMS = (
    _Algorithm("lora", ("down", "up"), ("mid", "alpha", "dora_scale", "magnitude", "bias")),
    _Algorithm("loha", _HADA, ("hada_t1", "hada_t2", "alpha", "dora_scale")),
    _Algorithm("lokr", (), (*_LOKR, "alpha", "dora_scale")),
    _Algorithm("full", ("diff",), ("diff_b",)),
    _Algorithm("norm", ("w_norm",), ("b_norm",)),
    _Algorithm("oft", ("oft_blocks",), ("rescale", "alpha")),
    _Algorithm("oft", ("oft_diag",), ("rescale", "alpha")),
    _Algorithm("oft", ("oft_R",), ("scaled_oft", "alpha", "dora_scale")),
    _Algorithm("glora", ("a1", "a2", "b1", "b2"), ("bm", "alpha")),
    _Algorithm("ia3", ("weight", "on_input")),
    _Algorithm("tlora", ("q_layer", "p_layer", "lambda_layer"), ("alpha",)),
)
_SHARED = {"alpha", "dora_scale", "magnitude", "bias", "rescale"}  # parts that several algorithms have
_WITH_SCALE = {"lora": "dora", "loha": "doha", "lokr": "dokr"}  # LyCORIS' names for weight decomposition


def algorithm_of(layer: str, parts: _Parts) -> str:
    """Return the name of the layer's algorithm.

    Raises:
        LoraFileError: The parts belong to two algorithms, or one of them is missing.
    """
    known = _known(parts)
    stray = next((part for part in parts if part not in known.needed + known.optional), None)
    if stray:
        raise LoraFileError(f"mixes two algorithms in layer {shown(layer)}: {known.name} and {_label(stray)}")
    for part in _missing(known, parts):
        have = " and ".join(_label(part) for part in parts)
        raise LoraFileError(f"is incomplete: layer {shown(layer)} has {have} but no {_label(part)}")
    if "scaled_oft" in parts:
        return "scaled oft"
    if known.name == "oft" and "oft_blocks" in parts and len(parts["oft_blocks"].shape) == 4:
        return "boft"  # LyCORIS modules/boft.py: one more axis, of the butterfly's stages
    if known.name == "full" and len(parts["diff"].shape) < 2:
        return "norm"  # LyCORIS' "full" of a norm; the linear and convolution layers' is a matrix
    scaled = "dora_scale" in parts or "magnitude" in parts
    return _WITH_SCALE[known.name] if scaled else known.name


def _known(parts: _Parts) -> _Algorithm:
    for algorithm in _ALGORITHMS:
        if any(part in parts for part in algorithm.needed + algorithm.optional if part not in _SHARED):
            return algorithm
    return _ALGORITHMS[0]


def _missing(known: _Algorithm, parts: _Parts) -> list[str]:
    missing = [part for part in known.needed if part not in parts]
    if known.name == "loha" and ("hada_t1" in parts) != ("hada_t2" in parts):
        missing.append("hada_t2" if "hada_t1" in parts else "hada_t1")
    if known.name == "lokr":
        for factor in ("lokr_w1", "lokr_w2"):
            if factor not in parts:
                halves = [half for half in (f"{factor}_a", f"{factor}_b") if half not in parts]
                missing += [factor] if len(halves) == 2 else halves
    return missing


def _label(part: str) -> str:
    return LABELS.get(part, part)


def anatomy(layer: str, parts: _Parts, algorithm: str) -> Anatomy:
    """Check every shape of a layer against the others and return its anatomy.

    Raises:
        LoraFileError: Shapes contradict each other; the message names the layer.
    """
    for part, tensor in parts.items():
        _check_tensor(part, tensor)
    shape = {"lora": _lora, "dora": _lora, "loha": _loha, "doha": _loha, "lokr": _lokr, "dokr": _lokr}
    if algorithm not in shape:
        return _whole(layer, parts, algorithm)
    result = shape[algorithm](layer, parts, algorithm)
    _check_vectors(layer, parts, result)
    return result


def _check_tensor(part: str, tensor: Tensor) -> None:
    if part == "alpha":
        if tensor.dtype not in NUMBERS or math.prod(tensor.shape) != 1:
            what = f"{tensor.dtype} {list(tensor.shape)}"
            raise LoraFileError(f"has {shown(tensor.name)} of {what}; an alpha is one number")
        return
    if tensor.dtype not in FLOATS:
        read = ", ".join(FLOATS)
        raise LoraFileError(f"has tensor {shown(tensor.name)} of dtype {tensor.dtype}; read are {read}")
    vector = part in _SHARED or part in ("diff", "diff_b", "w_norm", "b_norm", "weight", "on_input")
    if 0 in tensor.shape or (len(tensor.shape) < 2 and not vector):
        shape = list(tensor.shape)
        raise LoraFileError(f"has tensor {shown(tensor.name)} of shape {shape}, which is no matrix")


def _lora(layer: str, parts: _Parts, algorithm: str) -> Anatomy:
    down, up = parts["down"].shape, parts["up"].shape
    inner = parts["mid"].shape if "mid" in parts else (up[1], down[0])
    if down[0] != up[1] or inner[:2] != (up[1], down[0]):
        ranks = f"{down[0]} in {LABELS['down']}, {up[1]} in {LABELS['up']}"
        raise LoraFileError(f"has two ranks in layer {shown(layer)}: {ranks}")
    if math.prod(up[2:]) != 1 or ("mid" in parts and math.prod(down[2:]) != 1):
        raise LoraFileError(f"has a kernel in {LABELS['up']} of layer {shown(layer)}: {list(up)}")
    return Anatomy(algorithm, down[0], up[0], down[1], inner[2:] or down[2:])


def _loha(layer: str, parts: _Parts, algorithm: str) -> Anatomy:
    """Read a LoHa: ``w_a`` is (rows, rank); with Tucker cores, which hold the kernel, (rank, rows)."""
    tucker = "hada_t1" in parts
    sides = []
    for half in ("1", "2"):
        a, b = parts[f"hada_w{half}_a"].shape, parts[f"hada_w{half}_b"].shape
        rows, left = (a[1], a[0]) if tucker else (a[0], a[1])
        core = parts[f"hada_t{half}"].shape if tucker else (left, b[0])
        if len(a) != 2 or len(b) != 2 or core[:2] != (left, b[0]) or left != b[0]:
            raise _misfit(layer, "LoHa", parts)
        sides.append((rows, b[1], b[0], core[2:]))
    if sides[0] != sides[1]:
        raise _misfit(layer, "LoHa", parts)
    rows, columns, rank, kernel = sides[0]
    return Anatomy(algorithm, rank, rows, columns, kernel, flat=not tucker)


def _lokr(layer: str, parts: _Parts, algorithm: str) -> Anatomy:
    outer, outer_rank = _factor(layer, parts, "lokr_w1")
    inner, inner_rank = _factor(layer, parts, "lokr_w2")
    two_ranks = outer_rank and inner_rank and outer_rank != inner_rank
    if len(outer) != 2 or two_ranks or ("lokr_t2" in parts and "lokr_w2" in parts):
        raise _misfit(layer, "LoKr", parts)
    rows, columns = outer[0] * inner[0], outer[1] * inner[1]
    flat = "lokr_w2" not in parts and "lokr_t2" not in parts
    return Anatomy(algorithm, inner_rank or outer_rank, rows, columns, inner[2:], flat)


def _factor(layer: str, parts: _Parts, name: str) -> tuple[tuple[int, ...], int | None]:
    """Return the shape of one Kronecker factor, and its rank if it is a low-rank product itself."""
    if name in parts:
        if f"{name}_a" in parts or f"{name}_b" in parts:
            raise LoraFileError(f"has {name} twice in layer {shown(layer)}, whole and as a product")
        return parts[name].shape, None
    a, b = parts[f"{name}_a"].shape, parts[f"{name}_b"].shape
    core = parts["lokr_t2"].shape if name == "lokr_w2" and "lokr_t2" in parts else None
    rows, left = (a[1], a[0]) if core else (a[0], a[1])
    if len(a) != 2 or len(b) != 2 or left != b[0] or (core and core[:2] != (left, b[0])):
        raise _misfit(layer, "LoKr", parts)
    return (rows, b[1], *(core[2:] if core else ())), b[0]


def _misfit(layer: str, what: str, parts: _Parts) -> LoraFileError:
    shapes = ", ".join(
        f"{part.split('_', 1)[1]} {list(tensor.shape)}" for part, tensor in parts.items() if "_w" in part
    )
    return LoraFileError(f"has parts of a {what} that do not fit in layer {shown(layer)}: {shapes}")


def _check_vectors(layer: str, parts: _Parts, layer_anatomy: Anatomy) -> None:
    """Check that there is one magnitude per output, or per input (LyCORIS with ``wd_on_out`` off)."""
    for part in ("magnitude", "bias", "dora_scale"):
        if part not in parts:
            continue
        shape = parts[part].shape
        fits = math.prod(shape) == layer_anatomy.rows
        if part == "dora_scale" and len(shape) > 1 and shape[0] == 1:
            fits = math.prod(shape) == shape[1] and (layer_anatomy.columns % shape[1] == 0)
        if not fits:
            weight = f"{layer_anatomy.rows} x {layer_anatomy.columns}"
            raise LoraFileError(
                f"has {part} {list(shape)} in layer {shown(layer)}, but its weight is {weight}"
            )


def _whole(layer: str, parts: _Parts, algorithm: str) -> Anatomy:
    """Read a full weight difference, or an algorithm whose shapes are not checked further."""
    shape = (parts["diff"] if "diff" in parts else next(iter(parts.values()))).shape
    rows, columns, *kernel = shape if len(shape) > 1 else (*shape, 1, 1)[:2]
    if "diff_b" in parts and math.prod(parts["diff_b"].shape) != rows:
        bias = list(parts["diff_b"].shape)
        raise LoraFileError(f"has diff_b {bias} in layer {shown(layer)}, whose weight has {rows} rows")
    return Anatomy(algorithm, None, rows, columns, tuple(kernel))
