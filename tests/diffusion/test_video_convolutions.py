"""Convolutions of videos (Conv3d), as Wan's patches are: applied and proven by every kind of layer."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import merging
import pytest
import torch
from diffusers import WanTransformer3DModel
from families.weights import seeded
from safetensors.torch import save_file

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.diffusion import apply
from lora_checks.diffusion.proof import peft_names
from lora_checks.diffusion.proof.layers import Inspector, Spot, rows
from lora_checks.lora.file import inspect

OUT, IN, KERNEL, RANK, ALPHA = 32, 4, (1, 2, 2), 2, 3.0
COLUMNS = IN * 4
NAME = "diffusion_model.patch_embedding"
Tensors = dict[str, torch.Tensor]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape) * 0.3


LORA = {"lora_A.weight": (RANK, IN, *KERNEL), "lora_B.weight": (OUT, RANK, 1, 1, 1)}
LOHA = {f"hada_w{half}_a": (OUT, RANK) for half in "12"} | {
    f"hada_w{half}_b": (RANK, COLUMNS) for half in "12"
}
LOKR = {"lokr_w1": (2, 2), "lokr_w2_a": (OUT // 2, RANK), "lokr_w2_b": (RANK, COLUMNS // 2)}
KINDS: dict[str, dict[str, tuple[int, ...]]] = {
    "LoRA": LORA,
    "DoRA, rows": LORA | {"dora_scale": (OUT, 1, 1, 1, 1)},
    "DoRA, columns": LORA | {"dora_scale": (1, IN, 1, 1, 1)},
    "LoHa": LOHA,
    "LoKr": LOKR,
    "full": {"diff": (OUT, IN, *KERNEL), "diff_b": (OUT,)},
}


@pytest.fixture
def pipe() -> Any:
    torch.manual_seed(0)
    network = WanTransformer3DModel(
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        in_channels=IN,
        out_channels=IN,
        text_dim=28,
        freq_dim=16,
        ffn_dim=64,
        patch_size=KERNEL,
    )
    return SimpleNamespace(transformer=seeded(network, 2))


def put(pipe: Any, path: Path, tensors: Tensors) -> apply.Adapter:
    save_file({f"{NAME}.{ending}": value for ending, value in tensors.items()}, path)
    adapter = apply.load(pipe, inspect(path, "lora"), "lora")
    apply.activate(pipe, {"lora": 1.0})
    return adapter


def prove(adapter: apply.Adapter, pipe: Any, strength: float) -> float:
    """Compare the layer with the formula, on a picture's latent."""
    module = pipe.transformer.patch_embedding
    inspector = Inspector("a.safetensors", peft_names("lora"), adapter.tensors, strength)
    spot = Spot("transformer", "patch_embedding", module)
    with torch.no_grad():
        inspector.check(adapter.placed[0], [spot], [rows(module, normal(1, IN, 1, 8, 8))])
    return inspector.worst


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_acts_as_merged_and_is_proven(pipe: Any, tmp_path: Path, kind: str) -> None:
    tensors = {ending: normal(*shape) for ending, shape in KINDS[kind].items()}
    if "dora_scale" in tensors:
        tensors["dora_scale"] = tensors["dora_scale"].abs() + 1
    if kind != "full":
        tensors["alpha"] = torch.tensor(ALPHA)
    base = pipe.transformer.patch_embedding
    weight = base.weight.detach().double()
    parts = {
        {"lora_A.weight": "down", "lora_B.weight": "up"}.get(ending, ending): value.double()
        for ending, value in tensors.items()
    }
    change = merging.weight_change(parts, weight, lambda rank, alpha: float(alpha) / rank)  # type: ignore[arg-type]
    x = normal(2, IN, 1, 8, 8).double()
    bias = base.bias.detach().double() + parts.get("diff_b", 0.0)
    merged = torch.nn.functional.conv3d(x, weight + change, bias, base.stride)
    adapter = put(pipe, tmp_path / "a.safetensors", tensors)
    with torch.no_grad():
        found = pipe.transformer.patch_embedding(x.float())
    assert (merged - base(x.float()).detach()).abs().max() > 0.1
    torch.testing.assert_close(found.double(), merged, rtol=1e-4, atol=1e-4)
    assert prove(adapter, pipe, 1.0) < 1e-4
    apply.remove(pipe, "lora")
    assert pipe.transformer.patch_embedding is base


def test_the_proof_sees_a_wrong_strength(pipe: Any, tmp_path: Path) -> None:
    adapter = put(
        pipe, tmp_path / "a.safetensors", {ending: normal(*shape) for ending, shape in LORA.items()}
    )
    with pytest.raises(GenerationError, match="acts at 2 times the strength"):
        prove(adapter, pipe, 0.5)


def test_magnitudes_of_a_loha_on_it_are_refused(pipe: Any, tmp_path: Path) -> None:
    tensors = {ending: normal(*shape) for ending, shape in LOHA.items()} | {"dora_scale": torch.ones(OUT, 1)}
    with pytest.raises(LoraFileError, match="on a Conv3d of the base"):
        put(pipe, tmp_path / "a.safetensors", tensors)
