"""Compute the parameters of PEFT's layers from a placed layer, one set for each module of the base.

Products that PEFT supports (LoRA, DoRA, LoHa, LoKr) stay factored, as small as in the file. All others are
computed here in fp32 and carried as one whole matrix, as a PEFT LoKr with the factor [[1]]. Rows are in
diffusers' order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from lora_checks.core.errors import LoraFileError
from lora_checks.core.memory import give_back
from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.apply.pieces import Parts, contracted, pieces
from lora_checks.diffusion.apply.placement import Placed
from lora_checks.lora.header import shown

Kind = Literal["lora", "lora_bias", "dora", "loha", "lokr"]
_NO_FACTORS = ("alpha", "dora_scale", "magnitude", "bias")
MAGNITUDES = frozenset({"dora_scale", "magnitude"})  # parts of a layer that depend on the base's weight
VIDEO = 5  # axes of a Conv3d's weight, around which PEFT has a LoRA only and no LoHa or LoKr
EPS = 1.1920929e-07  # of fp32; LyCORIS adds it to a norm before dividing (functional/general.py)


@dataclass(frozen=True)
class Carrier:
    """The parameters for one module of the base."""

    layer: LoraLayer
    path: str
    kind: Kind
    scaling: float  # at strength 1
    parameters: Parts  # PEFT's name -> value, in the file's precision or in fp32
    exact: bool = False  # kept in fp32, whatever the base's dtype
    stored: bool = False  # kept in the file's dtype, and cast to the base's piece by piece
    within: float = 1.0  # scaling inside a magnitude's norm; ``scaling`` is outside


def carriers(placed: Placed, tensors: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """Compute the carriers of a layer.

    Args:
        placed: The layer and its modules.
        tensors: The file's tensors, by name.
        weights: The weights of the base's modules, one for each path.

    Raises:
        LoraFileError: The layer cannot be applied exactly.
    """
    parts = {part: tensors[name] for part, name in placed.layer.parts.items()}
    scale = parts.get("dora_scale")
    if "magnitude" in parts:  # PEFT's, of the rows, though on a convolution it is written (1, rows, 1, 1)
        scale = parts["magnitude"].flatten()
    if "down" in parts:
        if scale is None:
            return _lora(placed, parts, weights)
        return _dora(placed, parts, scale, weights)
    if scale is not None and placed.layer.scaling == 0:
        raise _no_dora(placed, "an alpha of 0")
    if "hada_w1_a" in parts or any(part.startswith("lokr_") for part in parts):
        if weights[0].ndim == VIDEO:
            return _video(placed, parts, scale, weights)
        found = _loha(placed, parts) if "hada_w1_a" in parts else _lokr(placed, parts, weights)
        return found if scale is None else _with_factor(placed, parts, scale, weights, found)
    if "diff" in parts and weights[0].ndim > 1:
        return _full(placed, parts, weights)
    raise LoraFileError(
        f"layer {shown(placed.layer.name)} is of algorithm {placed.layer.algorithm}, which cannot be applied "
        "here; train a LoRA, DoRA, LoHa or LoKr"
    )


def _rows(placed: Placed, tensor: Any, dim: int = 0, repeat: int = 1) -> Sequence[Any]:
    """Split rows by module, in diffusers' order; ``repeat``: weight rows per row of ``tensor``."""
    import torch

    if placed.layer.swapped:
        tensor = torch.cat(tensor.chunk(2, dim)[::-1], dim)
    return torch.split(tensor, [rows // repeat for rows in placed.rows], dim)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]


def _carriers(placed: Placed, kind: Kind, parameters: Sequence[Parts], exact: bool = False) -> list[Carrier]:
    pairs = zip(placed.paths, parameters, strict=True)
    return [Carrier(placed.layer, path, kind, placed.layer.scaling, values, exact) for path, values in pairs]


def _factors(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[dict[str, Any]]:
    """Return lora_A and lora_B of each module, in the shapes of PEFT's layers."""
    wide = {part: parts[part].float() for part in ("down", "mid")} if "mid" in parts else parts
    down, up = contracted(wide), parts["up"].flatten(1)
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
    """Compute the factor m / |W + dW| once, in fp32: in bf16 its rounding is as large as its effect."""
    if "bias" in parts or placed.layer.scaling == 0:
        raise _no_dora(placed, "a bias" if "bias" in parts else "an alpha of 0")
    pairs = zip(_factors(placed, parts, weights), _factor(placed, parts, scale, weights), strict=True)
    return _carriers(placed, "dora", [one | {"magnitude": part} for one, part in pairs], exact=True)


def _no_dora(placed: Placed, why: str) -> LoraFileError:
    return LoraFileError(f"layer {shown(placed.layer.name)} is a DoRA with {why}; it cannot be applied here")


def _by_row(scale: Any, rows: int) -> bool:
    """Return whether norms are per output row; per input column in LyCORIS with ``wd_on_out`` off.

    One number for a weight of one row is that of the row.
    """
    return not (scale.ndim > 1 and scale.shape[0] == 1 and max(rows, scale.numel()) > 1)


def _factor(placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any]) -> Sequence[Any]:
    """Return m / |W + dW| of each module in fp32, shaped to multiply its weight."""
    by_row = _by_row(scale, sum(placed.rows))
    norm = _norm(placed, parts, weights, by_row)
    give_back()
    factor = scale.float().flatten().to(norm.device) / (norm + EPS)
    ones = (1,) * (weights[0].ndim - 2)
    if not by_row:
        return [factor.reshape(1, -1, *ones)] * len(placed.rows)
    return [part.reshape(-1, 1, *ones) for part in _rows(placed, factor)]


def _norm(placed: Placed, parts: Parts, weights: Sequence[Any], by_row: bool) -> Any:
    """Compute |W + dW| of each row in the file's order, or of each input, in fp32 and piece by piece."""
    import torch

    base = weights[0] if len(weights) == 1 else torch.cat(list(weights))
    if placed.layer.swapped:
        base = torch.cat(base.chunk(2)[::-1])
    norm = torch.zeros(len(base) if by_row else base.shape[1], device=base.device)
    mine = {part: tensor.to(base.device) for part, tensor in parts.items() if part not in _NO_FACTORS}
    for rows, change in pieces(mine, base.shape, torch.float32):
        changed = base[rows].float() + change * placed.layer.scaling
        if by_row:
            norm[rows] = torch.linalg.vector_norm(changed.flatten(1), dim=1)
        else:
            more = torch.linalg.vector_norm(changed.transpose(0, 1).flatten(1), dim=1)
            norm = torch.hypot(norm, more)
    return norm


def _with_factor(
    placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any], found: Sequence[Carrier]
) -> list[Carrier]:
    """Add magnitudes to the carriers of a LoHa or LoKr; a strength multiplies the whole change."""
    pairs = zip(found, _factor(placed, parts, scale, weights), strict=True)
    return [
        replace(
            one,
            scaling=1.0,
            within=one.scaling,
            exact=True,
            stored=True,  # each piece is float32
            parameters={**one.parameters, "factor": factor},
        )
        for one, factor in pairs
    ]


def _delta(placed: Placed, parts: Parts, weights: Sequence[Any]) -> Any:
    """Build the scaled change of the weight in fp32, with rows in diffusers' order."""
    import torch

    shape = (sum(placed.rows), *weights[0].shape[1:])
    delta = torch.empty(shape)
    for rows, change in pieces(
        {part: parts[part] for part in parts if part != "alpha"}, shape, torch.float32
    ):
        delta[rows] = change * placed.layer.scaling
    return torch.cat(list(_rows(placed, delta))).to(weights[0].device)


def _loha(placed: Placed, parts: Parts) -> list[Carrier]:
    """Split a LoHa by the rows of its ``w_a``, which are columns if there are Tucker cores."""
    tucker = "hada_t1" in parts
    shared = {part: tensor for part, tensor in parts.items() if part.startswith("hada_t")}
    shared |= {part: parts[part].flatten(1) for part in ("hada_w1_b", "hada_w2_b")}
    firsts, seconds = (_rows(placed, parts[f"hada_w{half}_a"], int(tucker)) for half in "12")
    pairs = zip(firsts, seconds, strict=True)
    return _carriers(placed, "loha", [shared | {"hada_w1_a": one, "hada_w2_a": two} for one, two in pairs])


def _lokr(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """Split a LoKr by rows, or build it whole if a cut falls inside a row of the first factor."""
    outer = "lokr_w1" if "lokr_w1" in parts else "lokr_w1_a"
    inner = sum(placed.rows) // len(parts[outer])
    cuts = (*placed.rows, sum(placed.rows) // 2) if placed.layer.swapped else placed.rows
    if len(cuts) > 1 and any(rows % inner for rows in cuts):
        return _whole(placed, _delta(placed, parts, weights), weights, 1.0)
    shared = {part: tensor for part, tensor in parts.items() if part.startswith("lokr_")}
    if "lokr_w2_b" in shared:
        shared["lokr_w2_b"] = shared["lokr_w2_b"].flatten(1)
    each = _rows(placed, parts[outer], 0, inner)
    found = _carriers(placed, "lokr", [shared | {outer: piece} for piece in each])
    return [
        replace(one, stored="lokr_w2" in shared) for one in found
    ]  # lokr_w2 may be as large as the weight


def _whole(
    placed: Placed, delta: Any, weights: Sequence[Any], scaling: float, stored: bool = False
) -> list[Carrier]:
    """Carry a whole matrix; ``delta`` is (all rows, ...) in diffusers' order."""
    import torch

    each = delta.reshape(-1, *weights[0].shape[1:]).split(list(placed.rows))
    if weights[0].ndim == VIDEO:
        pairs = zip(placed.paths, each, strict=True)
        as_lora = [(path, {"lora_A": piece, "lora_B": _unit(piece)}) for path, piece in pairs]
        return [Carrier(placed.layer, path, "lora", scaling, pair, exact=True) for path, pair in as_lora]
    one = torch.ones(1, 1)
    return [
        Carrier(placed.layer, path, "lokr", scaling, {"lokr_w1": one, "lokr_w2": piece}, stored=stored)
        for path, piece in zip(placed.paths, each, strict=True)
    ]


def _video(placed: Placed, parts: Parts, scale: Any, weights: Sequence[Any]) -> list[Carrier]:
    """Carry the LoHa or LoKr of a Conv3d as a whole."""
    if scale is not None:
        raise LoraFileError(
            f"layer {shown(placed.layer.name)} is a LoHa or LoKr with magnitudes on a Conv3d of the base; "
            "only a LoRA can have them there"
        )
    return _whole(placed, _delta(placed, parts, weights), weights, 1.0)


def _unit(weight: Any) -> Any:
    """Return the 1x1 convolution that changes nothing, after one with ``weight``."""
    import torch

    return torch.eye(len(weight), dtype=weight.dtype).reshape(len(weight), -1, *(1,) * (weight.ndim - 2))


def _full(placed: Placed, parts: Parts, weights: Sequence[Any]) -> list[Carrier]:
    """Carry a full difference; a bias difference becomes that of a LoRA with zero matrices."""
    import torch

    whole = parts["diff"]
    if placed.layer.swapped:
        whole = torch.cat(list(_rows(placed, whole)))
    found = _whole(placed, whole, weights, placed.layer.scaling, stored=True)
    if "diff_b" not in parts:
        return found
    a = torch.zeros(1, *weights[0].shape[1:])
    ones = (1,) * (weights[0].ndim - 1)
    biases = _rows(placed, parts["diff_b"].flatten())
    zero = [{"lora_A": a, "lora_B": torch.zeros(len(b), *ones), "bias": b} for b in biases]
    return found + _carriers(placed, "lora_bias", zero)
