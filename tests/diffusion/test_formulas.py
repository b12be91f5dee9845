"""The formulas of the proof against the libraries that train: LyCORIS' functional API and PEFT's layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import peft
import pytest
import torch
from lycoris.functional import general, locon, loha, lokr
from torch import nn

from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.proof.formulas import bias_change, factors, weight_change
from lora_checks.diffusion.proof.layers import through
from lora_checks.diffusion.proof.module import operate

OUT, IN, RANK, SCALING = 12, 8, 3, 0.75
LINEAR, CONV = (OUT, IN), (OUT, IN, 3, 3)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def change(parts: Mapping[str, torch.Tensor], weight: torch.Tensor, scaling: float = SCALING) -> torch.Tensor:
    names = {part: f"layer.{part}" for part in parts}
    layer = LoraLayer("layer", "unet", ("layer",), "", names, RANK, scaling)
    found: torch.Tensor = weight_change(layer, {f"layer.{part}": parts[part] for part in parts}, weight)
    assert (found.dtype, found.shape) == (torch.float32, weight.shape)
    return found


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted.reshape(found.shape), rtol=1e-5, atol=1e-5)
    assert wanted.abs().max() > 0.1


def lora_parts(shape: tuple[int, ...], tucker: bool = False) -> dict[str, torch.Tensor]:
    """As LyCORIS' LoConModule makes them (modules/locon.py)."""
    kernel, ones = shape[2:], (1,) * len(shape[2:])
    parts = {
        "down": torch.randn(RANK, shape[1], *(ones if tucker else kernel)),
        "up": torch.randn(shape[0], RANK, *ones),
    }
    return parts | ({"mid": torch.randn(RANK, RANK, *kernel)} if tucker else {})


def loha_parts(shape: tuple[int, ...], tucker: bool = False) -> dict[str, torch.Tensor]:
    """As LyCORIS' LohaModule makes them (modules/loha.py)."""
    columns = shape[1] if tucker else torch.Size(shape[1:]).numel()
    parts = {}
    for half in "12":
        parts[f"hada_w{half}_a"] = torch.randn(RANK, OUT) if tucker else torch.randn(OUT, RANK)
        parts[f"hada_w{half}_b"] = torch.randn(RANK, columns)
        if tucker:
            parts[f"hada_t{half}"] = torch.randn(RANK, RANK, *shape[2:])
    return parts


def lokr_parts(shape: tuple[int, ...], form: str) -> dict[str, torch.Tensor]:
    """As LyCORIS' LokrModule makes them (modules/lokr.py), with the factors 3x2 and 4x4."""
    kernel = shape[2:]
    outer = {"lokr_w1": torch.randn(3, 2)}
    if "both" in form:
        outer = {"lokr_w1_a": torch.randn(3, RANK), "lokr_w1_b": torch.randn(RANK, 2)}
    if "full" in form:
        return outer | {"lokr_w2": torch.randn(4, 4, *kernel)}
    if "tucker" in form:
        inner = {"lokr_w2_a": torch.randn(RANK, 4), "lokr_w2_b": torch.randn(RANK, 4)}
        return outer | inner | {"lokr_t2": torch.randn(RANK, RANK, *kernel)}
    columns = 4 * torch.Size(kernel).numel()
    return outer | {"lokr_w2_a": torch.randn(4, RANK), "lokr_w2_b": torch.randn(RANK, columns)}


@pytest.mark.parametrize(("shape", "tucker"), [(LINEAR, False), (CONV, False), (CONV, True)])
def test_a_lora_is_as_in_lycoris(shape: tuple[int, ...], tucker: bool) -> None:
    parts = lora_parts(shape, tucker)
    wanted = locon.diff_weight(parts["down"], parts["up"], parts.get("mid"), gamma=SCALING)
    close(change(parts, torch.zeros(shape)), wanted)


@pytest.mark.parametrize(("shape", "tucker"), [(LINEAR, False), (CONV, False), (CONV, True)])
def test_a_loha_is_as_in_lycoris(shape: tuple[int, ...], tucker: bool) -> None:
    parts = loha_parts(shape, tucker)
    order = ("hada_w1_b", "hada_w1_a", "hada_w2_b", "hada_w2_a", "hada_t1", "hada_t2")
    wanted = loha.diff_weight(*(parts.get(name) for name in order), gamma=torch.tensor(SCALING))
    close(change(parts, torch.zeros(shape)), wanted)


FORMS = ("", "full", "both", "both full")
LOKRS = [(shape, form) for shape in (LINEAR, CONV) for form in FORMS]


@pytest.mark.parametrize(("shape", "form"), [*LOKRS, (CONV, "tucker"), (CONV, "both tucker")])
def test_a_lokr_is_as_in_lycoris(shape: tuple[int, ...], form: str) -> None:
    parts = lokr_parts(shape, form)
    order = ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")
    wanted = lokr.kron_weight(*(parts.get(f"lokr_{name}") for name in order), scale=SCALING)
    close(change(parts, torch.zeros(shape)), wanted)


@pytest.mark.parametrize("by_output", [True, False])
@pytest.mark.parametrize("shape", [LINEAR, CONV])
@pytest.mark.parametrize("make", [lora_parts, loha_parts, lambda shape: lokr_parts(shape, "full")])
def test_magnitudes_are_as_in_lycoris(make: Any, shape: tuple[int, ...], by_output: bool) -> None:
    """`apply_weight_decompose` of modules/locon.py, loha.py and lokr.py."""
    parts, weight = make(shape), torch.randn(shape)
    ones = (1,) * len(shape[2:])
    scale = torch.rand(OUT, 1, *ones) if by_output else torch.rand(1, IN, *ones)
    merged = weight + change(parts, weight)
    wanted = general.weight_decompose(merged, scale, wd_on_out=by_output) - weight
    close(change(parts | {"dora_scale": scale}, weight), wanted)


def wrapped(shape: tuple[int, ...], config: Any) -> Any:
    base = nn.Linear(IN, OUT) if shape == LINEAR else nn.Conv2d(IN, OUT, 3)
    return peft.inject_adapter_in_model(config, nn.ModuleDict({"layer": base})).layer


@pytest.mark.parametrize("shape", [LINEAR, CONV])
@pytest.mark.parametrize("dora", [False, True])
def test_a_lora_and_a_dora_are_as_in_peft(shape: tuple[int, ...], dora: bool) -> None:
    config = peft.LoraConfig(r=RANK, lora_alpha=RANK * SCALING, target_modules=["layer"], use_dora=dora)
    layer = wrapped(shape, config)
    nn.init.normal_(layer.lora_B["default"].weight)
    parts = {"down": layer.lora_A["default"].weight, "up": layer.lora_B["default"].weight}
    if dora:
        nn.init.uniform_(layer.lora_magnitude_vector["default"].weight)
        parts["magnitude"] = layer.lora_magnitude_vector["default"].weight.flatten()
    before = layer.get_base_layer().weight.detach().clone()
    found = change({part: value.detach() for part, value in parts.items()}, before)
    layer.merge()
    close(found, layer.get_base_layer().weight.detach() - before)


@pytest.mark.parametrize("shape", [LINEAR, CONV])
@pytest.mark.parametrize("effective", [False, True])
@pytest.mark.parametrize("kind", [peft.LoHaConfig, peft.LoKrConfig])
def test_a_loha_and_a_lokr_are_as_in_peft(shape: tuple[int, ...], effective: bool, kind: Any) -> None:
    config = kind(
        r=RANK,
        alpha=RANK * SCALING,
        target_modules=["layer"],
        init_weights=False,
        use_effective_conv2d=effective,
    )
    layer = wrapped(shape, config)
    held = {part: getattr(layer, part) for part in layer.adapter_layer_names}
    parts = {part: nn.init.normal_(values["default"].data) for part, values in held.items() if len(values)}
    close(change(parts, torch.zeros(shape)), layer.get_delta_weight("default").detach())


def test_a_full_difference_is_what_it_says() -> None:
    diff = torch.randn(CONV)
    close(change({"diff": diff}, torch.randn(CONV), 1.0), diff)


def test_a_bias_has_the_scaling_of_its_layer() -> None:
    tensors = {"b": torch.arange(3.0)}
    layer = LoraLayer("layer", "unet", ("layer",), "lora", {"bias": "b"}, 1, 0.5)
    assert bias_change(layer, tensors).tolist() == [0, 0.5, 1]
    assert bias_change(LoraLayer("layer", "unet", ("layer",), "lora", {}, 1, 0.5), tensors) is None


def test_tensors_of_half_precision_are_multiplied_in_more() -> None:
    """The product of two bf16 numbers is no bf16 number."""
    parts = {part: tensor.bfloat16() for part, tensor in lora_parts(LINEAR).items()}
    wanted = SCALING * parts["up"].double() @ parts["down"].double()
    torch.testing.assert_close(change(parts, torch.zeros(LINEAR)), wanted.float(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("base", "tucker"),
    [
        (nn.Linear(IN, OUT), False),
        (nn.Conv2d(IN, OUT, 3, stride=2, padding=1), False),
        (nn.Conv2d(IN, OUT, 3, stride=2, padding=1), True),
        (nn.Conv2d(IN, OUT, 1), False),
    ],
    ids=["linear", "convolution", "Tucker", "convolution of a point"],
)
def test_the_factors_have_the_effect_of_their_product(base: Any, tucker: bool) -> None:
    parts = lora_parts(tuple(base.weight.shape), tucker)
    names = {part: part for part in parts}
    layer = LoraLayer("layer", "unet", ("layer",), "", names, RANK, SCALING)
    split = factors(layer, parts, base.weight)
    assert split is not None
    x = torch.randn(2, IN, *(5, 5)[: base.weight.ndim - 2], dtype=torch.float64)
    rows = slice(3, OUT)  # of one of several modules
    effect = through(base, SCALING * split.up[rows], split, x)
    whole = operate(base, weight_change(layer, parts, base.weight).double(), x)
    apart = effect - (whole[:, rows] if base.weight.ndim > 2 else whole[..., rows])
    assert apart.norm() < 1e-7 * effect.norm()  # the product is rounded to float32
    assert effect.norm() > 0.1


def test_magnitudes_have_no_factors() -> None:
    parts = lora_parts(LINEAR) | {"dora_scale": torch.rand(OUT, 1)}
    layer = LoraLayer("layer", "unet", ("layer",), "", {part: part for part in parts}, RANK, SCALING)
    assert factors(layer, parts, torch.zeros(LINEAR)) is None
    layer = LoraLayer("layer", "unet", ("layer",), "", {"diff": "diff"}, RANK, SCALING)
    assert factors(layer, {"diff": torch.zeros(LINEAR)}, torch.zeros(LINEAR)) is None
