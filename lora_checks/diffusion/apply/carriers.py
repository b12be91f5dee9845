"""A placed layer -> the parameters that PEFT's layers get, one set for each module of the base.

Products that PEFT can form (LoRA, DoRA, LoHa, LoKr) stay in their factors, as small as the file has them.
What it cannot form is worked out here in fp32 and carried as one whole matrix: PEFT's LoKr with the factor
[[1]]. All of them are in diffusers' order of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.apply.placement import Placed
from lora_checks.lora.header import shown

Kind = Literal["lora", "lora_bias", "dora", "loha", "lokr"]
Parts = Mapping[str, Any]  # part or parameter -> torch.Tensor
EPS = 1.1920929e-07  # of fp32: LyCORIS adds it to a norm before it divides (functional/general.py)


@dataclass(frozen=True)
class Carrier:
    """What one module of the base gets."""

    layer: LoraLayer
    path: str
    kind: Kind
    scaling: float  # at strength 1
    parameters: Parts  # PEFT's name -> value, in the file's precision or in fp32
    exact: bool = False  # kept in fp32, whatever the base is in


def carriers(placed: Placed, tensors: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """``weights``: of the base's modules, one for each path, as they are.

    Raises `LoraFileError` for parts that can be applied in no exact way.
    """
    parts = {part: tensors[name] for part, name in placed.layer.parts.items()}
    scale = parts.get("dora_scale")
    if "magnitude" in parts:  # PEFT's, of the rows, though on a convolution it is written (1, rows, 1, 1)
        scale = parts["magnitude"].flatten()
    if "down" in parts:
        if scale is None:
            return _lora(placed, parts, weights)
        return _dora(placed, parts, scale, weights)
    if scale is not None:
        return _whole(placed, _decomposed(placed, parts, scale, weights), weights, 1.0, exact=True)
    if "hada_w1_a" in parts:
        return _loha(placed, parts)
    if any(part.startswith("lokr_") for part in parts):
        return _lokr(placed, parts, weights)
    if "diff" in parts and weights[0].ndim > 1:
        return _full(placed, parts, weights)
    raise LoraFileError(
        f"layer {shown(placed.layer.name)} is of algorithm {placed.layer.algorithm}, which cannot be applied "
        "here; train a LoRA, DoRA, LoHa or LoKr"
    )


def _rows(placed: Placed, tensor: Any, dim: int = 0, repeat: int = 1) -> Sequence[Any]:
    """The rows of each module, in diffusers' order; ``repeat``: rows of the weight to a row of ``tensor``."""
    import torch

    if placed.layer.swapped:
        tensor = torch.cat(tensor.chunk(2, dim)[::-1], dim)
    return torch.split(tensor, [rows // repeat for rows in placed.rows], dim)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]


def _carriers(
    placed: Placed, kind: Kind, parameters: Sequence[Parts], scaling: float | None = None, exact: bool = False
) -> list[Carrier]:
    scaling = placed.layer.scaling if scaling is None else scaling
    pairs = zip(placed.paths, parameters, strict=True)
    return [Carrier(placed.layer, path, kind, scaling, values, exact) for path, values in pairs]


def _down(parts: Parts) -> Any:
    """(rank, columns, *kernel); a Tucker core is contracted into it (LyCORIS functional/locon.py)."""
    import torch

    down = parts["down"]
    if "mid" not in parts:
        return down
    return torch.einsum("mn...,nj->mj...", parts["mid"].float(), down.float().flatten(1))


def _factors(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[dict[str, Any]]:
    """lora_A and lora_B of each module, in the shapes of PEFT's layers."""
    down, up = _down(parts), parts["up"].flatten(1)
    ones = (1,) * (weights[0].ndim - 2)
    a = down.reshape(len(down), *weights[0].shape[1:])
    return [{"lora_A": a, "lora_B": b.reshape(*b.shape, *ones)} for b in _rows(placed, up)]


def _lora(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[Carrier]:
    factors = _factors(placed, parts, weights)
    if "bias" not in parts:
        return _carriers(placed, "lora", factors)
    biases = _rows(placed, parts["bias"].flatten())
    with_bias = [one | {"bias": bias} for one, bias in zip(factors, biases, strict=True)]
    return _carriers(placed, "lora_bias", with_bias)


def _dora(placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any]) -> list[Carrier]:
    """The factor m / |W + dW| is worked out once, in fp32: in bf16 its steps are as large as its effect."""
    if "bias" in parts or placed.layer.scaling == 0:
        why = "a bias" if "bias" in parts else "an alpha of 0"
        raise LoraFileError(
            f"layer {shown(placed.layer.name)} is a DoRA with {why}; it cannot be applied here"
        )
    factor = _factor(placed, parts, scale, weights)
    each = factor.split(list(placed.rows)) if _by_row(scale) else [factor] * len(placed.rows)
    pairs = zip(_factors(placed, parts, weights), each, strict=True)
    return _carriers(placed, "dora", [one | {"magnitude": part} for one, part in pairs], exact=True)


def _by_row(scale: Any) -> bool:
    """LyCORIS with ``wd_on_out`` off norms each input's column and not each output's row."""
    return not (scale.ndim > 1 and scale.shape[0] == 1)


def _factor(placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any]) -> Any:
    """m / |W + dW| in fp32, of the shape of the weight but 1 along the axes of the norm."""
    import torch

    weight = torch.cat([weight.float() for weight in weights]) + _delta(placed, parts, weights)
    if _by_row(scale):
        kept, wanted = 0, torch.cat(list(_rows(placed, scale.float().flatten())))
    else:
        kept, wanted = 1, scale.float().flatten()
    axes = [axis for axis in range(weight.ndim) if axis != kept]
    norm = torch.linalg.vector_norm(weight, dim=axes, keepdim=True)
    return wanted.to(norm.device).reshape(norm.shape) / (norm + EPS)


def _decomposed(placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any]) -> Any:
    """The change of the weight by a LoHa or LoKr with magnitudes."""
    import torch

    base = torch.cat([weight.float() for weight in weights])
    changed = base + _delta(placed, parts, weights)
    return changed * _factor(placed, parts, scale, weights) - base


def _delta(placed: Placed, parts: Parts, weights: Sequence[Any]) -> Any:
    """The change of the weight before any magnitude, scaled, in fp32 and diffusers' order of rows."""
    import torch

    found = {part: tensor.float() for part, tensor in parts.items()}
    if "down" in found:
        delta = found["up"].flatten(1) @ _down(found).flatten(1)
    elif "hada_w1_a" in found:
        delta = _half(found, "1") * _half(found, "2")
    else:
        delta = _kronecker(found)
    delta = delta.reshape(-1, *weights[0].shape[1:]) * placed.layer.scaling
    return torch.cat(list(_rows(placed, delta))).to(weights[0].device)


def _half(parts: Parts, half: str) -> Any:
    import torch

    a, b = parts[f"hada_w{half}_a"], parts[f"hada_w{half}_b"]
    if f"hada_t{half}" in parts:
        return torch.einsum("ij...,ip,jr->pr...", parts[f"hada_t{half}"], a, b)
    return a @ b.flatten(1)


def _kronecker(parts: Parts) -> Any:
    """(rows, columns[, *kernel]), the kernel perhaps folded into the columns."""
    import torch

    outer = parts["lokr_w1"] if "lokr_w1" in parts else parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    if "lokr_w2" in parts:
        inner = parts["lokr_w2"]
    elif "lokr_t2" in parts:
        inner = torch.einsum("ij...,ip,jr->pr...", parts["lokr_t2"], parts["lokr_w2_a"], parts["lokr_w2_b"])
    else:
        inner = parts["lokr_w2_a"] @ parts["lokr_w2_b"].flatten(1)
    return torch.kron(outer.reshape(*outer.shape, *(1,) * (inner.ndim - 2)), inner.contiguous())


def _loha(placed: Placed, parts: Parts) -> list[Carrier]:
    """Rows of a Hadamard product are products of rows; with Tucker cores ``w_a`` is (rank, rows)."""
    tucker = "hada_t1" in parts
    shared = {part: tensor for part, tensor in parts.items() if part.startswith("hada_t")}
    shared |= {part: parts[part].flatten(1) for part in ("hada_w1_b", "hada_w2_b")}
    firsts, seconds = (_rows(placed, parts[f"hada_w{half}_a"], int(tucker)) for half in "12")
    pairs = zip(firsts, seconds, strict=True)
    return _carriers(placed, "loha", [shared | {"hada_w1_a": one, "hada_w2_a": two} for one, two in pairs])


def _lokr(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """Rows of a Kronecker product are one too only where the cut falls between rows of the first factor."""
    outer = "lokr_w1" if "lokr_w1" in parts else "lokr_w1_a"
    inner = sum(placed.rows) // len(parts[outer])
    cuts = (*placed.rows, sum(placed.rows) // 2) if placed.layer.swapped else placed.rows
    if len(cuts) > 1 and any(rows % inner for rows in cuts):
        return _whole(placed, _delta(placed, parts, weights), weights, 1.0)
    shared = {part: tensor for part, tensor in parts.items() if part.startswith("lokr_")}
    if "lokr_w2_b" in shared:
        shared["lokr_w2_b"] = shared["lokr_w2_b"].flatten(1)
    pieces = _rows(placed, parts[outer], 0, inner)
    return _carriers(placed, "lokr", [shared | {outer: piece} for piece in pieces])


def _whole(
    placed: Placed, delta: Any, weights: Sequence[Any], scaling: float, exact: bool = False
) -> list[Carrier]:
    """``delta``: (all rows, ...) in diffusers' order."""
    import torch

    pieces = delta.reshape(-1, *weights[0].shape[1:]).split(list(placed.rows))
    one = torch.ones(1, 1)
    parameters = [{"lokr_w1": one, "lokr_w2": piece} for piece in pieces]
    return _carriers(placed, "lokr", parameters, scaling, exact)


def _full(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """A difference of the whole weight, and of the bias as that of a LoRA whose matrices are nought."""
    import torch

    whole = torch.cat(list(_rows(placed, parts["diff"])))
    found = _whole(placed, whole, weights, placed.layer.scaling)
    if "diff_b" not in parts:
        return found
    a = torch.zeros(1, *weights[0].shape[1:])
    ones = (1,) * (weights[0].ndim - 1)
    biases = _rows(placed, parts["diff_b"].flatten())
    nought = [{"lora_A": a, "lora_B": torch.zeros(len(b), *ones), "bias": b} for b in biases]
    return found + _carriers(placed, "lora_bias", nought)
