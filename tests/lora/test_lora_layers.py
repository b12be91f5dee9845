"""Names, algorithms and strengths of layers are read as the trainers wrote them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lora_tensors import ALGORITHMS, COLUMNS, ROWS, Q, Tensors, named, parts, read

from lora_checks.core.errors import LoraFileError
from lora_checks.core.records import LoraLayer
from lora_checks.lora.algorithms import anatomy
from lora_checks.lora.header import Tensor
from lora_checks.lora.words import described

UNET = (
    "down_blocks.0.attentions.1.transformer_blocks.0.attn1.to_q",
    "down_blocks.0.attentions.1.transformer_blocks.0.attn2.to_out.0",
    "mid_block.resnets.1.conv1",
    "up_blocks.2.upsamplers.0.conv",
    "conv_in",
    "time_embedding.linear_2",
)
TEXT = ("encoder.layers.3.self_attn.q_proj", "encoder.layers.10.mlp.fc1", "text_projection")
# How one module is called, and its two matrices; whether an alpha stands beside them.
SPELLINGS: Mapping[str, tuple[str, str, tuple[str, str], bool]] = {
    "PEFT": ("unet.{}", "text_encoder.text_model.{}", ("lora_A.weight", "lora_B.weight"), False),
    "diffusers": ("unet.{}", "text_encoder.{}", ("lora.down.weight", "lora.up.weight"), False),
    "old text encoder": (
        "unet.{}",
        "text_encoder_2.text_model.{}",
        ("lora_linear_layer.down.weight", "lora_linear_layer.up.weight"),
        False,
    ),
    "kohya": ("lora_unet_{}", "lora_te_text_model_{}", ("lora_down.weight", "lora_up.weight"), True),
    "kohya SDXL": ("lora_unet_{}", "lora_te2_text_model_{}", ("lora_down.weight", "lora_up.weight"), True),
    "LyCORIS": ("lycoris_{}", "lora_te_text_model_{}", ("lora_down.weight", "lora_up.weight"), True),
    "ComfyUI": (
        "diffusion_model.{}",
        "text_encoders.clip_l.transformer.text_model.{}",
        ("lora_A.weight", "lora_B.weight"),
        True,
    ),
}


@st.composite
def layer_sets(draw: st.DrawFn) -> tuple[str, dict[str, tuple[int, float | None]]]:
    """A spelling, and for some modules a rank and an alpha."""
    spelling = draw(st.sampled_from(sorted(SPELLINGS)))
    modules = draw(st.lists(st.sampled_from(UNET + TEXT), min_size=1, unique=True))
    alphas = st.none() | st.floats(0.125, 64, width=32) if SPELLINGS[spelling][3] else st.none()
    return spelling, {module: (draw(st.integers(1, 9)), draw(alphas)) for module in modules}


def spelt(spelling: str, module: str) -> str:
    unet, text, _, _ = SPELLINGS[spelling]
    flat = module.replace(".", "_") if unet.endswith("_{}") else module
    return (text if module in TEXT else unet).format(flat)


@given(layer_sets())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_spelling_gives_back_modules_and_strengths(tmp_path: Path, case: Any) -> None:
    spelling, modules = case
    down, up = SPELLINGS[spelling][2]
    tensors: Tensors = {}
    for module, (rank, alpha) in modules.items():
        name = spelt(spelling, module)
        tensors[f"{name}.{down}"] = np.ones((rank, 4), np.float16)
        tensors[f"{name}.{up}"] = np.ones((6, rank), np.float16)
        if alpha is not None:
            tensors[f"{name}.alpha"] = np.array(alpha, np.float32)
    found = {layer.targets: layer for layer in read(tmp_path, tensors).layers}
    assert found.keys() == {(module.replace(".", "_"),) for module in modules}
    for module, (rank, alpha) in modules.items():
        layer = found[(module.replace(".", "_"),)]
        assert (layer.component == "unet") == (module in UNET)
        assert (layer.name, layer.rank) == (spelt(spelling, module), rank)
        assert layer.scaling == pytest.approx(1 if alpha is None else alpha / rank)
    listed = [name for layer in found.values() for name in layer.parts.values()]
    assert sorted(listed) == sorted(tensors)


def only(folder: Path, tensors: Tensors, metadata: Mapping[str, Any] | None = None) -> LoraLayer:
    (layer,) = read(folder, tensors, metadata).layers
    return layer


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_is_described_completely(tmp_path: Path, algorithm: str) -> None:
    layer = only(tmp_path, named(Q, parts(algorithm, rank=3), alpha=np.array(6)))
    assert layer.algorithm == {"conv": "lora", "tucker": "lora"}.get(algorithm, algorithm.split()[0])
    whole = algorithm == "lokr whole"
    assert (layer.rank, layer.scaling) == ((None, 1) if whole else (3, 2))
    assert not layer.dead


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_shape_of_the_weight_follows_from_the_parts(algorithm: str) -> None:
    header = {
        ending.removeprefix(".lora_").removeprefix(".").removesuffix(".weight"): Tensor(
            "a", "F32", value.shape, 0, 0
        )
        for ending, value in parts(algorithm).items()
    }
    found = anatomy("layer", header, algorithm.split()[0].replace("conv", "lora").replace("tucker", "lora"))
    assert (found.rows, found.columns) == (ROWS, COLUMNS)
    convolution = algorithm == "conv" or algorithm.endswith("tucker")
    assert found.kernel == ((3, 3) if convolution else ())


@pytest.mark.parametrize(
    ("algorithm", "shape", "name"),
    [
        ("lora", (8, 1), "dora"),  # LyCORIS, wd_on_out
        ("lora", (1, 6), "dora"),  # LyCORIS before, one for each input
        ("conv", (8, 1, 1, 1), "dora"),
        ("conv", (1, 6, 1, 1), "dora"),
        ("loha", (8, 1), "doha"),
        ("lokr", (8, 1), "dokr"),
    ],
)
def test_magnitudes_make_another_algorithm(
    tmp_path: Path, algorithm: str, shape: tuple[int, ...], name: str
) -> None:
    layer = only(tmp_path, named(Q, parts(algorithm), dora_scale=np.ones(shape)))
    assert (layer.algorithm, layer.parts["dora_scale"]) == (name, f"{Q}.dora_scale")


@pytest.mark.parametrize("ending", ["lora_magnitude_vector", "lora_magnitude_vector.weight", "magnitude"])
def test_magnitudes_of_peft_and_ai_toolkit(tmp_path: Path, ending: str) -> None:
    layer = only(tmp_path, named(Q, parts("lora")) | {f"{Q}.{ending}": np.ones(8, np.float32)})
    assert (layer.algorithm, layer.parts["magnitude"]) == ("dora", f"{Q}.{ending}")


def test_a_bias_of_lora_b_is_a_part(tmp_path: Path) -> None:
    """PEFT's lora_bias, which FLUX control LoRAs have."""
    name = "transformer.x_embedder"
    tensors = {f"{name}.lora_A.weight": np.ones((2, 6)), f"{name}.lora_B.weight": np.ones((8, 2))}
    tensors[f"{name}.lora_B.bias"] = np.ones(8)
    layer = only(tmp_path, {key: value.astype(np.float32) for key, value in tensors.items()})
    assert (layer.component, layer.parts["bias"]) == ("transformer", f"{name}.lora_B.bias")


def test_a_full_difference_has_no_rank(tmp_path: Path) -> None:
    layer = only(tmp_path, named(Q, parts("full")))
    assert (layer.algorithm, layer.rank, layer.scaling) == ("full", None, 1)


def test_two_spellings_are_one_file_when_every_layer_is_whole(tmp_path: Path) -> None:
    """diffusers' convert_state_dict_to_diffusers respells the attention and no more."""
    tensors = {
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.down.weight": np.ones((2, 6)),
        "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora.up.weight": np.ones((8, 2)),
        "unet.mid_block.resnets.0.conv1.lora_A.weight": np.ones((2, 6, 3, 3)),
        "unet.mid_block.resnets.0.conv1.lora_B.weight": np.ones((8, 2, 1, 1)),
    }
    found = read(tmp_path, {key: value.astype(np.float32) for key, value in tensors.items()})
    assert (found.kind, found.components) == ("diffusers", {"unet": 2})


@pytest.mark.parametrize(
    ("first", "second", "target"),
    [
        ("lora_unet_double_blocks_0_img_attn_qkv", "transformer.transformer_blocks.0.attn.to_k", "attn_to_k"),
        ("lora_unet_input_blocks_1_1_proj_in", "lora_unet_down_blocks_0_attentions_0_proj_in", "proj_in"),
    ],
)
def test_two_names_of_one_module_are_refused(tmp_path: Path, first: str, second: str, target: str) -> None:
    with pytest.raises(LoraFileError, match=rf"names one layer twice: .*{target}'; keep one of the two"):
        read(tmp_path, named(first, parts("lora")) | named(second, parts("lora")))


def test_halves_are_swapped_only_in_the_last_context_block(tmp_path: Path) -> None:
    """sd3.5, mmditx.py: the last block's context has a shift and a scale only, in the other order."""
    name = "lora_unet_joint_blocks_{}_context_block_adaLN_modulation_1"
    tensors: Tensors = {}
    for block, rows in ((0, 36), (1, 12)):
        tensors[f"{name.format(block)}.lora_down.weight"] = np.ones((2, 6), np.float32)
        tensors[f"{name.format(block)}.lora_up.weight"] = np.ones((rows, 2), np.float32)
    assert [layer.swapped for layer in read(tmp_path, tensors).layers] == [False, True]


def adapter(**settings: object) -> dict[str, object]:
    return {"lora_adapter_metadata": {f"unet.{key}": value for key, value in settings.items()}}


def test_patterns_are_matched_as_peft_does(tmp_path: Path) -> None:
    """peft.utils.other.get_pattern_key over lora_alpha, alpha_pattern and rank_pattern."""
    from peft.utils.other import get_pattern_key

    names = ["a.to_q", "b.a.to_q", "b.to_q", "to_q", "b.xto_q", "c.a.to_k"]
    alphas = {"^a.to_q": 3, "a.to_q": 5, "to_q": 7, "^b.a.to_q": 11, "a.to_k": 13}
    tensors: Tensors = {}
    for name in names:
        tensors[f"unet.{name}.lora_A.weight"] = np.ones((2, 6), np.float32)
        tensors[f"unet.{name}.lora_B.weight"] = np.ones((8, 2), np.float32)
    found = read(tmp_path, tensors, adapter(lora_alpha=1, r=2, alpha_pattern=alphas))
    for layer in found.layers:
        name = layer.name.removeprefix("unet.")
        assert layer.scaling == alphas.get(get_pattern_key(alphas, name), 1) / 2, name


def test_rslora_divides_by_the_root_of_the_rank(tmp_path: Path) -> None:
    layer = only(tmp_path, peft_layer(rank=9), adapter(lora_alpha=6, r=9, use_rslora=True))
    assert layer.scaling == pytest.approx(6 / math.sqrt(9))


def peft_layer(rank: int) -> Tensors:
    name = "unet.mid_block.resnets.0.conv1"
    return {
        f"{name}.lora_A.weight": np.ones((rank, 6), np.float32),
        f"{name}.lora_B.weight": np.ones((8, rank), np.float32),
    }


@pytest.mark.parametrize(
    ("alpha", "message"),
    [(1e30, r"has alpha 1e\+30 at .*times its rank; no training makes that"), (-1, "has alpha -1 at")],
)
def test_absurd_alphas_are_refused(tmp_path: Path, alpha: float, message: str) -> None:
    with pytest.raises(LoraFileError, match=message):
        read(tmp_path, named(Q, parts("lora"), alpha=np.array(alpha)))


@pytest.mark.parametrize("alpha", [9999999999, math.inf, 0])
def test_the_alpha_of_a_whole_lokr_says_nothing(tmp_path: Path, alpha: float) -> None:
    """ai-toolkit, toolkit/config_modules.py: lokr_full_rank sets it to 9999999999, infinite in float16."""
    found = read(tmp_path, named(Q, parts("lokr whole"), alpha=np.array(alpha)))
    assert (found.layers[0].scaling, found.alphas) == (1, ())


@pytest.mark.parametrize("rank", [0, -4, math.nan, math.inf])
def test_a_rank_that_is_none_is_damaged_metadata(tmp_path: Path, rank: float) -> None:
    with pytest.raises(LoraFileError, match="is not a PEFT configuration"):
        read(tmp_path, named("unet.mid_block.proj", parts("lokr whole")), adapter(lora_alpha=4, r=rank))


def test_endless_adapter_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        LoraFileError, match="characters of lora_adapter_metadata, more than any adapter needs"
    ):
        read(tmp_path, peft_layer(4), {"lora_adapter_metadata": json.dumps(["x" * 1_000_000])})


@pytest.mark.parametrize(
    ("algorithms", "sentence"),
    [
        (("lora",), "kohya, rank 2, 1 unet layer"),
        (("loha",), "kohya LoHa, rank 2, 1 unet layer"),
        (("lora", "lokr whole", "lora"), "kohya LoRA and LoKr, rank 2, 3 unet layers"),
        (("lokr whole",), "kohya LoKr, 1 unet layer"),
    ],
)
def test_a_lora_in_words(tmp_path: Path, algorithms: tuple[str, ...], sentence: str) -> None:
    tensors: Tensors = {}
    for number, algorithm in enumerate(algorithms):
        tensors |= named(Q.replace("_to_q", f"_to_{'qkv'[number]}"), parts(algorithm))
    assert described(read(tmp_path, tensors)) == sentence


def test_many_ranks_are_a_range(tmp_path: Path) -> None:
    tensors: Tensors = {}
    for rank in range(1, 7):
        tensors |= named(f"{Q[:-1]}{rank}", parts("lora", rank=rank))
    assert described(read(tmp_path, tensors)) == "kohya, rank 1 to 6, 6 unet layers"
