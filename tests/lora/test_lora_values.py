"""What the numbers, names and metadata of a LoRA file say: dead layers, families, facts, warnings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lora_tensors import Q, Tensors, named, parts, read

from lora_checks.core.errors import LoraFileError
from lora_checks.core.words import printable
from lora_checks.lora.facts import MAX_TEXT, facts_of

K = Q.replace("_to_q", "_to_k")


@pytest.mark.parametrize(
    ("algorithm", "zero"),
    [
        ("lora", "lora_up.weight"),
        ("lora", "lora_down.weight"),
        ("tucker", "lora_mid.weight"),
        ("loha", "hada_w2_a"),
        ("loha", "hada_w1_b"),
        ("loha tucker", "hada_t2"),
        ("lokr", "lokr_w1"),
        ("lokr", "lokr_w2_b"),
        ("lokr whole", "lokr_w2"),
        ("lokr tucker", "lokr_t2"),
    ],
)
def test_a_layer_with_a_factor_of_zeros_is_dead(tmp_path: Path, algorithm: str, zero: str) -> None:
    dead = named(Q, parts(algorithm))
    dead[f"{Q}.{zero}"][...] = 0
    found = read(tmp_path, dead | named(K, parts("lora")))
    assert {layer.name: layer.dead for layer in found.layers} == {Q: True, K: False}
    assert found.warnings[0] == f"1 of 2 layers adds nothing: a factor of '{Q}' is zero"
    with pytest.raises(LoraFileError, match=r"so the LoRA changes nothing|changes nothing: in every layer"):
        read(tmp_path, dead)


@pytest.mark.parametrize(
    ("algorithm", "zero", "message"),
    [
        ("loha", "hada_w2_a", "was never trained: every hada_w2_a matrix is zero"),
        ("lokr", "lokr_w2_b", "was never trained: every lokr_w2_b matrix is zero"),
        ("loha", "hada_w1_a", "changes nothing: in every layer a factor is zero"),
    ],
)
def test_what_is_zero_tells_why_nothing_changes(
    tmp_path: Path, algorithm: str, zero: str, message: str
) -> None:
    tensors = named(Q, parts(algorithm))
    tensors[f"{Q}.{zero}"][...] = 0
    with pytest.raises(LoraFileError, match=message):
        read(tmp_path, tensors)


def test_magnitudes_may_change_the_base_though_lora_b_is_zero(tmp_path: Path) -> None:
    tensors = named(Q, parts("lora"), dora_scale=np.ones((8, 1)))
    tensors[f"{Q}.lora_up.weight"][...] = 0
    assert not read(tmp_path, tensors).layers[0].dead


@pytest.mark.parametrize("part", ["hada_w1_b", "lokr_w2", "dora_scale", "diff"])
def test_nan_is_found_in_every_algorithm(tmp_path: Path, part: str) -> None:
    algorithm = {"h": "loha", "l": "lokr whole", "d": "full" if part == "diff" else "lora"}[part[0]]
    more = {"dora_scale": np.ones((8, 1))} if part == "dora_scale" else {}
    tensors = named(Q, parts(algorithm), **more)
    tensors[f"{Q}.{part}"].flat[-1] = np.nan
    with pytest.raises(LoraFileError, match=f"1 values that are NaN or infinite in '{Q}.{part}'"):
        read(tmp_path, tensors)


def test_the_tensors_have_a_digest_of_their_own(tmp_path: Path) -> None:
    """As sshs_model_hash of sd-scripts, library/train_util.py: what stands behind the header."""
    tensors = named(Q, parts("lora"))
    found = [read(tmp_path, tensors, {"note": note}) for note in ("a", "b")]
    data = (tmp_path / "a.safetensors").read_bytes()
    behind = data[8 + int.from_bytes(data[:8], "little") :]
    assert {lora.tensors_sha256 for lora in found} == {hashlib.sha256(behind).hexdigest()}
    assert len({lora.sha256 for lora in found}) == 2


# Families


def wide(name: str, columns: int) -> Tensors:
    return {
        f"{name}.lora_down.weight": np.ones((1, columns), np.float16),
        f"{name}.lora_up.weight": np.ones((4, 1), np.float16),
    }


CROSS = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
CLIP = "lora_{}_text_model_encoder_layers_0_self_attn_q_proj"


@pytest.mark.parametrize(
    ("tensors", "families"),
    [
        (wide(CROSS, 768), ("SD 1.x",)),
        (wide(CROSS, 1024), ("SD 2.x",)),
        (wide(CROSS, 2048), ("SDXL",)),
        (wide(CROSS, 32), ()),
        (wide("lora_unet_down_blocks_3_resnets_0_conv1", 8), ("SD 1.x", "SD 2.x")),
        (wide("lora_unet_down_blocks_3_resnets_0_conv1", 8) | wide(CROSS, 768), ("SD 1.x",)),
        (wide("lora_unet_label_emb_0_0", 8), ("SDXL",)),
        (wide(CLIP.format("te"), 768), ("SD 1.x", "SDXL", "SD3", "FLUX.1", "HiDream")),
        (wide(CLIP.format("te"), 1024), ("SD 2.x",)),
        (wide(CLIP.format("te1"), 768) | wide(CLIP.format("te2"), 1280), ("SDXL", "SD3", "HiDream")),
        (wide(CLIP.format("te1"), 768) | wide(CROSS, 2048), ("SDXL",)),
        (wide("lora_unet_double_blocks_0_img_attn_qkv", 8), ()),
        (wide("lora_unet_double_blocks_0_img_mod_lin", 8), ("FLUX.1",)),
        (wide("lora_unet_joint_blocks_0_x_block_attn_qkv", 8), ("SD3",)),
        (wide("transformer.transformer_blocks.0.attn.to_q", 8), ()),
        (wide("transformer.single_transformer_blocks.0.attn.to_q", 8), ()),
        (wide(CROSS, 768) | wide("lora_unet_label_emb_0_0", 8), ()),
    ],
)
def test_names_and_widths_tell_the_family(
    tmp_path: Path, tensors: Tensors, families: tuple[str, ...]
) -> None:
    assert read(tmp_path, tensors).families == families


def test_the_metadata_tells_whose_t5_it_is(tmp_path: Path) -> None:
    name = "lora_te3_encoder_block_0_layer_0_SelfAttention_q"
    found = read(tmp_path, wide(name, 4096), {"modelspec.architecture": "flux-1-dev/lora"})
    assert (found.components, found.families) == ({"text_encoder_2": 1}, ("FLUX.1",))
    assert read(tmp_path, wide(name, 4096)).components == {"text_encoder_3": 1}


# Metadata


SD_SCRIPTS = {
    "ss_output_name": "sks-000010",
    "ss_sd_model_name": "v1-5-pruned.safetensors",
    "ss_base_model_version": "sd_v1",
    "ss_network_module": "networks.lora",
    "ss_network_dim": "4",
    "ss_steps": "1200",
    "ss_epoch": "10",
    "ss_unet_lr": "0.0001",
    "ss_text_encoder_lr": "None",
    "ss_training_finished_at": "1700000000.5",
    "ss_tag_frequency": '{"10_sks": {"sks person": 12, "smile": 3}, "5_more": {"sks person": 2}}',
    "modelspec.trigger_phrase": "sks person",
}


def test_sd_scripts_metadata_is_told() -> None:
    assert facts_of(SD_SCRIPTS) == {
        "title": "sks-000010",
        "trigger": "sks person",
        "base": "v1-5-pruned.safetensors",
        "base version": "sd_v1",
        "network": "networks.lora",
        "network dim": "4",
        "steps": "1200",
        "epoch": "10",
        "learning rate": "0.0001",
        "date": "2023-11-14 22:13",
        "tags": "sks person (14), smile (3)",
        "software": "sd-scripts",
    }


def test_ai_toolkit_is_known_by_its_metadata(tmp_path: Path) -> None:
    metadata = {
        "software": {"name": "ai-toolkit", "version": "0.7.1"},
        "training_info": {"step": 2000, "epoch": 99},
    }
    name = "transformer.single_transformer_blocks.0.attn.to_q"
    found = read(tmp_path, wide(name, 8), metadata)
    assert found.kind == "ai-toolkit"
    assert found.facts == {"steps": "2000", "epoch": "99", "software": "ai-toolkit 0.7.1"}


@pytest.mark.parametrize(
    "metadata",
    [
        {"ss_tag_frequency": "[[]]", "software": "[1]", "training_info": "null"},
        {"ss_tag_frequency": '{"a": 3, "b": {"c": "d", "e": -1, "f": true}}'},
        {"ss_tag_frequency": "[" * 100_000, "training_info": "{" * 5},
        {"ss_tag_frequency": '{"a": {"' + "x" * 2_000_000 + '": 1}}'},
        {"ss_training_finished_at": "1e400", "ss_steps": " "},
        {"ss_training_finished_at": "nan"},
    ],
)
def test_odd_metadata_says_nothing(metadata: Mapping[str, str]) -> None:
    assert facts_of(metadata) == {}


def test_texts_of_the_metadata_are_short_and_printable() -> None:
    text = facts_of({"modelspec.title": "\x1b[31m\u202e" + "x" * 5000 + "\n"})["title"]
    assert (len(text), text[-3:], printable(text)) == (MAX_TEXT, "...", text)


@pytest.mark.parametrize(
    ("tensors", "metadata", "warning"),
    [
        (wide(CROSS, 768), {"modelspec.architecture": "stable-diffusion-xl-v1-base/lora"},
         "the metadata says SDXL, the layers are of SD 1.x"),
        (wide(CROSS, 2048), {"ss_base_model_version": "sd_1.5"},
         "the metadata says SD 1.x, the layers are of SDXL"),
        (named(Q, parts("lora")), {"ss_network_dim": "64"},
         "the metadata says rank 64 (ss_network_dim), the matrices have 2"),
        (named(Q, parts("lora")), {"sshs_model_hash": "0" * 64},
         "its weights were changed after training: the metadata has another digest (sshs_model_hash)"),
        (named(Q, parts("lora"), alpha=np.array(64)), {},
         f"1 layer with a strength outside 1/64 to 8: '{Q}' has 32 (alpha 64)"),
        ({name: value * 1e5 for name, value in named(Q, parts("lora")).items()}, {},
         f"values beyond 65504 in '{Q}.lora_down.weight': they become infinite in float16"),
        (wide(Q, 6) | wide(K, 6) | wide(Q.replace("_0_attn1", "_1_attn1"), 6), {},
         "1 of 2 attentions lack what most of their kind have: "
         "no k in unet 'mid_block_attentions_0_transformer_blocks_1_attn1'"),
        (named(Q, parts("lora"), dora_scale=np.ones((8, 1))) | named(K, parts("lora")), {},
         f"1 of 2 layers lack the magnitudes that the others have: '{K}'"),
        ({name: np.ones((600, 600), np.float32) for name in wide(Q, 1)}, {},
         "stored as F32; as F16 or BF16 it is 1 MB smaller"),
    ],
)  # fmt: skip
def test_what_is_odd_is_said(
    tmp_path: Path, tensors: Tensors, metadata: Mapping[str, Any], warning: str
) -> None:
    assert read(tmp_path, tensors, metadata).warnings == (warning,)


def test_a_plain_lora_has_no_warnings(tmp_path: Path) -> None:
    found = read(tmp_path, named(Q, parts("lora"), alpha=np.array(1)), {"ss_network_dim": "2"})
    assert found.warnings == ()
    two_kinds = Q.replace("attn1", "attn2")  # of the text's attention often fewer are trained
    assert (
        read(
            tmp_path, named(Q, parts("lora")) | named(K, parts("lora")) | named(two_kinds, parts("lora"))
        ).warnings
        == ()
    )
    true = {"sshs_model_hash": found.tensors_sha256}
    assert read(tmp_path, named(Q, parts("lora"), alpha=np.array(1)), true).warnings == ()
