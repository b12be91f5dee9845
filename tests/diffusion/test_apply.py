"""LoRAs on real pipelines: applied in full, switched, stacked and taken off; what cannot be is refused.

The reference is tests/merging.py: the file merged into a second pipeline's weights. Every kind of file on
every family is in test_kinds_by_family.py.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import accelerate.hooks
import kinds
import merging
import pytest
import torch
from families import load as load_pipeline
from safetensors.torch import load_file, save_file
from world import MINIATURE

from lora_checks.core.errors import GenerationError, LoraChecksError, LoraFileError
from lora_checks.core.records import LoraLayer
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

BLOCK = "unet.mid_block.attentions.0.transformer_blocks.0"
LINEAR, NARROW, CONV = f"{BLOCK}.attn1.to_q", f"{BLOCK}.attn2.to_k", "unet.mid_block.resnets.0.conv1"
POINT = "unet.mid_block.attentions.0.proj_in"  # a convolution of 1x1
SHAPES = {LINEAR: (64, 64), NARROW: (64, 32), CONV: (64, 64, 3, 3), POINT: (64, 64, 1, 1)}
Tensors = dict[str, torch.Tensor]


Fresh = Callable[[], Any]


@pytest.fixture(scope="module")
def fresh(family_folder: Callable[[str], Path]) -> Fresh:
    """A pipeline that nobody touched: tiny SD 1.x."""
    loaded = load_pipeline(family_folder("SD 1.x"))
    return lambda: copy.deepcopy(loaded)


@pytest.fixture
def pipe(fresh: Fresh) -> Any:
    return fresh()


@pytest.fixture(scope="module")
def flux(family_folder: Callable[[str], Path]) -> Fresh:
    loaded = load_pipeline(family_folder("FLUX"))
    return lambda: copy.deepcopy(loaded)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def output(pipe: Any) -> torch.Tensor:
    """The UNet's, of fixed noise and text, as one vector in fp32."""
    generator = torch.Generator().manual_seed(1)
    dtype = pipe.unet.dtype
    noise = torch.randn(2, 4, 16, 16, generator=generator).to(dtype)
    text = torch.randn(2, 7, 32, generator=generator).to(dtype)
    return pipe.unet(noise, torch.tensor([400, 400]), text).sample.float().flatten()


def distance(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def put(pipe: Any, path: Path, name: str = "gated", **options: Any) -> apply.Adapter:
    return apply.load(pipe, inspect(path, path.stem), name, **options)


def write(path: Path, tensors: Tensors) -> Path:
    save_file(tensors, path)
    return path


def lora(name: str, rank: int = 3, alpha: float = 2.0) -> Tensors:
    """One layer, of an effect that is seen in the output."""
    rows, *columns = SHAPES[name]
    ones = [1] * (len(columns) - 1)
    return {
        f"{name}.lora_A.weight": torch.randn(rank, *columns) / 4,
        f"{name}.lora_B.weight": torch.randn(rows, rank, *ones) / 4,
        f"{name}.alpha": torch.tensor(alpha),
    }


def loha(name: str) -> Tensors:
    rows, *columns = SHAPES[name]
    shapes = {"a": (rows, 2), "b": (2, torch.Size(columns).numel())}
    parts = {f"hada_w{half}_{side}": torch.randn(shapes[side]) / 2 for half in "12" for side in "ab"}
    return {f"{name}.{part}": value for part, value in parts.items()} | {f"{name}.alpha": torch.tensor(1.0)}


def lokr(name: str) -> Tensors:
    rows, columns, *kernel = SHAPES[name]
    return {
        f"{name}.lokr_w1": torch.randn(4, 8) / 2,
        f"{name}.lokr_w2": torch.randn(rows // 4, columns // 8, *kernel) / 8,
        f"{name}.alpha": torch.tensor(1.0),
    }


def dora(name: str, by_output: bool = True) -> Tensors:
    rows, columns, *kernel = SHAPES[name]
    shape = (rows, 1) if by_output else (1, columns)
    return lora(name) | {f"{name}.dora_scale": 1 + torch.rand(*shape, *[1] * len(kernel))}


MAKERS: dict[str, Callable[[str], Tensors]] = {
    "lora": lora,
    "loha": loha,
    "lokr": lokr,
    "dora of outputs": dora,
    "dora of inputs": lambda name: dora(name, by_output=False),
}


def merged(fresh: Fresh, strengths: Mapping[Path, float]) -> torch.Tensor:
    pipe = fresh()
    for path, strength in strengths.items():
        merging.merge(pipe, path, strength)
    return output(pipe)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("strength", [1.0, -0.4])
def test_a_strength_multiplies_the_whole_change(
    pipe: Any, fresh: Fresh, tmp_path: Path, maker: str, name: str, strength: float
) -> None:
    path = write(tmp_path / "a.safetensors", MAKERS[maker](name))
    base = output(pipe)
    put(pipe, path)
    assert torch.equal(output(pipe), base)  # nothing happens before it is given a strength
    apply.activate(pipe, {"gated": strength})
    wanted = merged(fresh, {path: strength})
    assert distance(output(pipe), wanted) < 1e-5 < distance(base, wanted) / 10
    apply.activate(pipe, {"gated": 0.0})
    assert torch.equal(output(pipe), base)
    apply.activate(pipe, {})
    assert torch.equal(output(pipe), base)


def test_one_file_may_hold_every_algorithm(pipe: Any, fresh: Fresh, tmp_path: Path) -> None:
    tensors = lora(LINEAR) | loha(NARROW) | lokr(CONV) | dora(POINT)
    path = write(tmp_path / "a.safetensors", tensors)
    adapter = put(pipe, path)
    apply.activate(pipe, {"gated": 0.7})
    assert distance(output(pipe), merged(fresh, {path: 0.7})) < 1e-5
    assert [len(one.paths) for one in adapter.placed] == [1, 1, 1, 1]
    assert adapter.unused == ()
    assert set(adapter.tensors) == set(tensors)


@pytest.mark.parametrize("order", [("lora", "loha", "lokr", "dora"), ("dora", "lokr", "lora", "loha")])
@pytest.mark.parametrize("name", [LINEAR, CONV])
def test_several_on_one_layer_add_up_in_any_order_of_loading(
    pipe: Any, fresh: Fresh, tmp_path: Path, name: str, order: tuple[str, ...]
) -> None:
    """A DoRA's factor is of the base's own output, whatever else is on the layer."""
    makers = {"lora": lora, "loha": loha, "lokr": lokr, "dora": dora}
    paths = {kind: write(tmp_path / f"{kind}.safetensors", makers[kind](name)) for kind in makers}
    strengths = {"lora": 0.5, "loha": 1.0, "lokr": -0.7, "dora": 0.8}
    base = output(pipe)
    alone = {kind: merged(fresh, {paths[kind]: strengths[kind]}) for kind in makers}
    for kind in order:
        put(pipe, paths[kind], kind)
    for kind in makers:
        apply.activate(pipe, {kind: strengths[kind]})
        assert distance(output(pipe), alone[kind]) < 1e-5
    apply.activate(pipe, strengths)
    together = output(pipe)
    assert distance(together, stacked(fresh, paths, strengths)) < 1e-5
    apply.activate(pipe, dict(reversed(strengths.items())))
    assert torch.equal(output(pipe), together)
    for kind in ("loha", "dora", "lora", "lokr"):
        apply.remove(pipe, kind)
        apply.activate(pipe, {})
        assert torch.equal(output(pipe), base)


def stacked(fresh: Fresh, paths: Mapping[str, Path], strengths: Mapping[str, float]) -> torch.Tensor:
    """What each changes on the base alone, added up; a DoRA merged after others would decompose their sum."""
    pipe, base = fresh(), fresh().unet.state_dict()
    for kind, path in paths.items():
        other = fresh()
        merging.merge(other, path, strengths[kind])
        for key, weight in pipe.unet.state_dict().items():
            weight += other.unet.state_dict()[key] - base[key]
    return output(pipe)


def test_removing_leaves_no_trace(pipe: Any, fresh: Fresh, tmp_path: Path) -> None:
    tensors = lora(LINEAR) | loha(NARROW) | lokr(CONV) | dora(POINT)
    base, untouched = output(pipe), fresh()
    for name in ("one", "other"):
        put(pipe, write(tmp_path / f"{name}.safetensors", tensors), name)
    apply.activate(pipe, {"one": 1.0, "other": 0.0})
    one = output(pipe)
    apply.remove(pipe, "other")
    assert torch.equal(output(pipe), one)  # what stays is as strong as it was
    apply.remove(pipe, "one")
    assert torch.equal(output(pipe), base)
    assert [(n, type(m)) for n, m in pipe.unet.named_modules()] == [
        (n, type(m)) for n, m in untouched.unet.named_modules()
    ]
    assert not hasattr(pipe.unet, "peft_config")
    put(pipe, tmp_path / "one.safetensors", "one")  # and the name is free again
    apply.activate(pipe, {"one": 1.0})
    assert torch.equal(output(pipe), one)


def test_loading_another_leaves_the_strengths_as_they_are(pipe: Any, tmp_path: Path) -> None:
    put(pipe, write(tmp_path / "one.safetensors", lora(LINEAR) | loha(CONV)), "one")
    apply.activate(pipe, {"one": 0.5})
    one = output(pipe)
    put(pipe, write(tmp_path / "other.safetensors", lora(LINEAR) | lora(CONV) | lokr(NARROW)), "other")
    assert torch.equal(output(pipe), one)


def test_parameters_need_no_gradient_and_are_in_the_bases_precision(fresh: Fresh, tmp_path: Path) -> None:
    pipe = fresh().to(torch.bfloat16)
    put(pipe, write(tmp_path / "a.safetensors", lora(LINEAR) | loha(NARROW) | lokr(CONV) | dora(POINT)))
    apply.activate(pipe, {"gated": 1.0})
    found = {}
    for slot in apply.slots(pipe)["gated"]:
        held = [getattr(slot.tuner, kind) for kind in slot.tuner.adapter_layer_names]
        weights = [weight for module in held for weight in module.parameters()]
        assert not any(weight.requires_grad or weight.is_meta for weight in weights)
        found[slot.kind] = {weight.dtype for weight in weights}
        assert not slot.tuner.training
    half = {torch.bfloat16}
    # in bf16 the factor of a DoRA has steps of 0.4 %, as large as its effect
    assert found == {"lora": half, "loha": half, "lokr": half, "dora": {torch.float32}}


@pytest.mark.parametrize("maker", MAKERS)
def test_in_half_precision_a_layer_keeps_its_effect(fresh: Fresh, tmp_path: Path, maker: str) -> None:
    tensors = MAKERS[maker](LINEAR)
    if "dora" in maker:  # as trained: the magnitudes are within a few per cent of the base's norms
        weight = fresh().unet.get_submodule(LINEAR.removeprefix("unet.")).weight.detach()
        norm = weight.norm(dim=1 if "outputs" in maker else 0).reshape(tensors[f"{LINEAR}.dora_scale"].shape)
        tensors[f"{LINEAR}.dora_scale"] = norm * (1 + 0.01 * torch.randn(norm.shape))
        tensors[f"{LINEAR}.lora_B.weight"] /= 100
    path = write(tmp_path / "a.safetensors", tensors)
    pipe, real = fresh(), fresh()
    half = pipe.to(torch.bfloat16)
    for weight, rounded in zip(real.unet.parameters(), half.unet.parameters(), strict=True):
        weight.data.copy_(rounded)
    x = torch.randn(50, 64).bfloat16()
    module = LINEAR.removeprefix("unet.")
    base = real.unet.get_submodule(module)(x.float())
    merging.merge(real, path)
    wanted = real.unet.get_submodule(module)(x.float()) - base
    put(half, path)
    apply.activate(half, {"gated": 1.0})
    layer = half.unet.get_submodule(module)
    # the base's own output in fp32 on both sides, so that only what the layer adds is rounded
    layer.base_layer.forward = lambda _: base.to(torch.float32)
    found = layer(x.float() if "dora" in maker else x).float() - base
    assert distance(found, wanted) < 0.03


def test_a_file_that_changed_after_it_was_read_is_refused(pipe: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", lora(LINEAR))
    seen = inspect(path, "a")
    write(path, lora(LINEAR))
    with pytest.raises(LoraFileError, match=r"a\.safetensors changed while it was being gated"):
        apply.load(pipe, seen, "gated")
    path.unlink()
    with pytest.raises(LoraFileError, match=r"a\.safetensors cannot be read: No such file"):
        apply.load(pipe, seen, "gated")


def renamed(tensors: Tensors, old: str, new: str) -> Tensors:
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


def wide(name: str) -> Tensors:
    """Made for a base with wider text."""
    tensors = lora(name)
    down = tensors[f"{name}.lora_A.weight"]
    return tensors | {f"{name}.lora_A.weight": torch.cat([down, down], 1)}


OF_ANOTHER_BASE: dict[str, tuple[Callable[[], Tensors], str]] = {
    "no layer": (
        lambda: renamed(lora(LINEAR) | lora(CONV), "mid_block", "end_block"),
        "a.safetensors: 0 of 2 layers match the base, such as "
        "'unet.end_block.attentions.0.transformer_blocks.0.attn1.to_q'; its unet, text_encoder have modules "
        "such as 'conv_in'",
    ),
    "some layers": (
        lambda: lora(CONV) | renamed(lora(LINEAR) | lora(NARROW), "mid_block", "end_block"),
        "a.safetensors: 2 of 3 unet layers have no place on the base, such as "
        "'unet.end_block.attentions.0.transformer_blocks.0.attn1.to_q'",
    ),
    "a component that the base lacks": (
        lambda: (
            lora(CONV)
            | renamed(lora(LINEAR), LINEAR, "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj")
        ),
        "a.safetensors: 1 of 1 text_encoder_2 layers have no place on the base, it has no text_encoder_2",
    ),
    "a shape": (
        lambda: lora(LINEAR) | wide(NARROW),
        f"a.safetensors: unet layer '{NARROW}' does not fit the base: LoRA 64x64, base 64x32",
    ),
    "a kernel": (
        lambda: renamed(lora(CONV), CONV, POINT),
        f"a.safetensors: unet layer '{POINT}' does not fit the base: LoRA 64x64x3x3, base 64x64",
    ),
}


@pytest.mark.parametrize("case", OF_ANOTHER_BASE)
def test_a_lora_of_another_base_is_refused_in_one_sentence(pipe: Any, tmp_path: Path, case: str) -> None:
    make, sentence = OF_ANOTHER_BASE[case]
    with pytest.raises(GenerationError, match=f"^{re.escape(sentence)}") as error:
        put(pipe, write(tmp_path / "a.safetensors", make()))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 250


def test_what_the_policy_allows_may_have_no_place(pipe: Any, fresh: Fresh, tmp_path: Path) -> None:
    extra = renamed(lora(LINEAR), LINEAR, "text_encoder_2.text_model.encoder.layers.0.self_attn.q_proj")
    path = write(tmp_path / "a.safetensors", lora(CONV) | extra)
    adapter = put(pipe, path, allowed=["text_encoder_2.*"])
    assert set(adapter.unused) == set(extra)
    assert [one.layer.name for one in adapter.placed] == [CONV]
    apply.activate(pipe, {"gated": 1.0})
    only = write(tmp_path / "only.safetensors", lora_of(path, CONV))
    assert distance(output(pipe), merged(fresh, {only: 1.0})) < 1e-5


def lora_of(path: Path, layer: str) -> Tensors:
    return {name: tensor for name, tensor in load_file(path).items() if name.startswith(layer)}


def test_a_layer_of_which_one_tensor_is_not_allowed_is_missed(pipe: Any, tmp_path: Path) -> None:
    tensors = lora(CONV) | renamed(lora(LINEAR), "mid_block", "end_block")
    with pytest.raises(GenerationError, match="1 of 2 unet layers have no place"):
        put(pipe, write(tmp_path / "a.safetensors", tensors), allowed=["*end_block*lora_A*", "*.alpha"])


def test_a_pattern_hides_no_shape_and_not_the_whole_file(pipe: Any, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="does not fit the base: LoRA 64x64, base 64x32"):
        put(pipe, write(tmp_path / "a.safetensors", lora(LINEAR) | wide(NARROW)), allowed=["*to_k*"])
    nowhere = write(tmp_path / "b.safetensors", renamed(lora(LINEAR), "mid_block", "end_block"))
    with pytest.raises(GenerationError, match="0 of 1 layers match the base"):
        put(pipe, nowhere, allowed=["*end_block*"])


def test_an_allowed_layer_that_has_a_place_is_applied_all_the_same(
    pipe: Any, fresh: Fresh, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.safetensors", lora(LINEAR) | lora(CONV))
    assert put(pipe, path, allowed=["*conv1*"]).unused == ()
    apply.activate(pipe, {"gated": 1.0})
    assert distance(output(pipe), merged(fresh, {path: 1.0})) < 1e-5


def test_a_tensor_of_no_layer_is_an_error(pipe: Any, tmp_path: Path) -> None:
    """Whatever the reader may overlook, the account of the tensors is drawn up again."""
    import dataclasses

    seen = inspect(write(tmp_path / "a.safetensors", lora(LINEAR) | lora(CONV)), "a")
    fewer = dataclasses.replace(seen, layers=seen.layers[:1])
    with pytest.raises(
        LoraFileError, match=r"^a\.safetensors: 3 of 6 tensors are part of no layer, such as "
    ):
        apply.load(pipe, fewer, "gated")


def test_values_that_overflow_in_the_bases_precision_are_named(fresh: Fresh, tmp_path: Path) -> None:
    pipe = fresh().to(torch.float16)
    tensors = lora(LINEAR) | lora(CONV)
    tensors[f"{CONV}.lora_A.weight"][0, 0, 0, 0] = 1e6
    with pytest.raises(
        GenerationError,
        match=rf"^a\.safetensors: layer '{CONV}' overflows in float16: pass --lora-dtype bfloat16 or",
    ):
        put(pipe, write(tmp_path / "a.safetensors", tensors))


def test_two_doras_on_one_layer_are_refused_only_when_both_are_active(pipe: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        put(pipe, write(tmp_path / f"{name}.safetensors", dora(LINEAR)), name)
    apply.activate(pipe, {"one": 1.0, "other": 0.0})
    one = output(pipe)
    with pytest.raises(
        GenerationError,
        match=r"^one\.safetensors and other\.safetensors are both DoRAs of unet module mid_block\.",
    ):
        apply.activate(pipe, {"one": 0.5, "other": 1.0})
    assert torch.equal(output(pipe), one)


def test_a_norm_of_the_base_takes_no_matrix(pipe: Any, tmp_path: Path) -> None:
    tensors = renamed(lora(LINEAR), LINEAR, f"{BLOCK}.norm1")
    with pytest.raises(LoraChecksError, match="norm1"):
        put(pipe, write(tmp_path / "a.safetensors", tensors))


def test_names_on_the_pipeline_are_unique_and_known(pipe: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", lora(LINEAR))
    put(pipe, path)
    with pytest.raises(ValueError, match="there is an adapter 'gated'"):
        put(pipe, path)
    with pytest.raises(ValueError, match="there is no adapter 'companion'"):
        apply.activate(pipe, {"companion": 1.0})


def test_diffusers_own_loader_gives_the_same_numbers_where_it_reads_the_file() -> None:
    """The images of the gate are those that a user's diffusers makes."""
    ours, theirs = (load_pipeline(MINIATURE / "pipeline") for _ in range(2))
    path = MINIATURE / "loras" / "good.safetensors"
    put(ours, path)
    apply.activate(ours, {"gated": 1.0})
    theirs.load_lora_weights(path.parent, weight_name=path.name)
    noise, text = torch.randn(1, 4, 16, 16), torch.randn(1, 24, 128)
    found, wanted = (one.unet(noise, 300, text).sample for one in (ours, theirs))
    assert torch.equal(found, wanted)


# FLUX in BFL's names: to_q, to_k and to_v are the rows of one layer
QKV, ADA = "lora_unet_double_blocks_0_img_attn_qkv", "lora_unet_final_layer_adaLN_modulation_1"
MODULES = [f"transformer_blocks.0.attn.to_{one}" for one in "qkv"]


def fused(name: str, outer: int) -> Tensors:
    """A LoKr of a layer of 3 x 32 rows whose first factor has ``outer`` of them."""
    return {
        f"{name}.lokr_w1": torch.randn(outer, 4),
        f"{name}.lokr_w2": torch.randn(96 // outer, 8),
        f"{name}.alpha": torch.tensor(1.0),
    }


@pytest.mark.parametrize(
    ("outer", "factored"), [(12, True), (3, True), (8, False), (2, False)], ids=["12", "3", "8", "2"]
)
def test_a_kronecker_product_over_several_modules_is_cut_exactly(
    flux: Fresh, tmp_path: Path, outer: int, factored: bool
) -> None:
    """Between two rows of the first factor it stays a product; elsewhere each module gets its rows whole."""
    pipe, reference = flux(), flux()
    path = write(tmp_path / "a.safetensors", fused(QKV, outer))
    (placed,) = put(pipe, path).placed
    assert (list(placed.paths), placed.rows) == (MODULES, (32, 32, 32))
    apply.activate(pipe, {"gated": 0.5})
    merging.merge(reference, path, 0.5)
    x = torch.randn(5, 32)
    for module in MODULES:
        found, wanted = (one.transformer.get_submodule(module)(x) for one in (pipe, reference))
        assert distance(found, wanted) < 1e-5
    wholes = {tuple(slot.tuner.lokr_w1[slot.adapter].shape) == (1, 1) for slot in apply.slots(pipe)["gated"]}
    assert wholes == {not factored}


@pytest.mark.parametrize("algorithm", ["lora", "loha", "lokr", "dora"])
def test_rows_that_diffusers_has_in_the_other_order_are_swapped(
    flux: Fresh, tmp_path: Path, algorithm: str
) -> None:
    """diffusers' `AdaLayerNormContinuous` has scale before shift, BFL's final layer shift before scale."""
    pipe, reference = flux(), flux()
    rows = {"lora": (64, 2), "loha": (64, 2)}
    tensors = {
        "lora": {"lora_down.weight": torch.randn(2, 32), "lora_up.weight": torch.randn(rows["lora"])},
        "loha": {
            f"hada_w{half}_{side}": torch.randn(rows["loha"] if side == "a" else (2, 32))
            for half in "12"
            for side in "ab"
        },
        "lokr": {"lokr_w1": torch.randn(1, 4), "lokr_w2": torch.randn(64, 8)},
    }
    tensors["dora"] = tensors["lora"] | {"dora_scale": torch.rand(64, 1)}
    other = {f"lora_unet_single_blocks_0_linear2.{k}": v for k, v in dict(lora_linear2()).items()}
    path = tmp_path / "a.safetensors"
    write(path, {f"{ADA}.{part}": value for part, value in tensors[algorithm].items()} | other)
    put(pipe, path)
    apply.activate(pipe, {"gated": 1.0})
    merging.merge(reference, path)
    x = torch.randn(5, 32)
    found, wanted = (one.transformer.norm_out.linear(x) for one in (pipe, reference))
    assert distance(found, wanted) < 1e-5


def lora_linear2() -> Tensors:
    """A layer that only FLUX has, so that the file's family is plain."""
    return {"lora_down.weight": torch.randn(2, 160), "lora_up.weight": torch.randn(32, 2)}


@pytest.mark.parametrize("order", ["load, offload", "offload, load"])
def test_a_pipeline_that_is_offloaded_model_by_model_computes_the_same(
    pipe: Any, fresh: Fresh, tmp_path: Path, order: str
) -> None:
    path = write(tmp_path / "a.safetensors", lora(LINEAR) | loha(NARROW) | lokr(CONV) | dora(POINT))
    if order == "offload, load":
        pipe.enable_model_cpu_offload(device="cpu")
        pipe.remove_all_hooks()
    put(pipe, path)
    pipe.enable_model_cpu_offload(device="cpu")
    assert isinstance(pipe.unet._hf_hook, accelerate.hooks.CpuOffload)
    apply.activate(pipe, {"gated": 1.0})
    assert distance(output(pipe), merged(fresh, {path: 1.0})) < 1e-5


def test_offloaded_layer_by_layer_a_lora_is_applied_and_the_others_are_refused(
    pipe: Any, tmp_path: Path
) -> None:
    """accelerate computes that way on an accelerator only, so here no image is made."""
    put(pipe, write(tmp_path / "a.safetensors", lora(LINEAR) | lora(CONV)))
    for kind, make in (("loha", loha), ("lokr", lokr), ("dora", dora)):
        put(pipe, write(tmp_path / f"{kind}.safetensors", make(NARROW)), kind)
    pipe.enable_sequential_cpu_offload(device="cpu")
    apply.activate(pipe, {"gated": 1.0})
    for kind in ("loha", "lokr", "dora"):
        with pytest.raises(
            GenerationError, match=r"^\w+\.safetensors: unet module .* cannot be applied to a base"
        ):
            apply.activate(pipe, {kind: 1.0})


def test_a_layer_of_another_algorithm_is_named(pipe: Any, tmp_path: Path) -> None:
    """The reader refuses these first; nothing that it lets through is applied by halves."""
    import dataclasses

    path = write(tmp_path / "a.safetensors", lora(LINEAR))
    seen = inspect(path, "a")
    (layer,) = seen.layers
    parts = dict(zip(("oft_blocks", "rescale", "alpha"), layer.parts.values(), strict=True))
    strange: LoraLayer = dataclasses.replace(layer, algorithm="oft", parts=parts)
    with pytest.raises(LoraChecksError, match=r"^a\.safetensors: "):
        apply.load(pipe, dataclasses.replace(seen, layers=(strange,)), "gated")


def test_every_layer_of_a_file_of_all_layers_is_one_slot(fresh: Fresh, tmp_path: Path) -> None:
    pipe = fresh()
    path = kinds.build("kohya LoRA, all layers", pipe, tmp_path / "a.safetensors")
    adapter = put(pipe, path)
    assert len(apply.slots(pipe)["gated"]) == len(adapter.placed) == len(adapter.lora.layers) > 100
    assert {slot.component for slot in apply.slots(pipe)["gated"]} == {"unet", "text_encoder"}


def test_the_family_of_a_foreign_lora_is_guessed(
    pipe: Any, family_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    other = load_pipeline(family_folder("SDXL"))
    path = kinds.build("kohya LoRA", other, tmp_path / "a.safetensors")
    with pytest.raises(GenerationError, match=r"^a\.safetensors: .*\(an SDXL LoRA\?\)$") as error:
        put(pipe, path)
    assert len(str(error.value)) < 250
