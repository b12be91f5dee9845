"""cloneofsimo's numbered layers against its loader's loop, written a second time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from safetensors.numpy import save_file
from transformers import CLIPTextConfig, CLIPTextModel

from lora_checks.core.errors import GenerationError
from lora_checks.diffusion import apply
from lora_checks.lora.file import inspect

UNET_CLASSES = ["CrossAttention", "Attention", "GEGLU"]


class Pipe:
    """What of a pipeline a LoRA changes."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.unet = UNet2DConditionModel(
            block_out_channels=(16, 32),
            norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=24,
            attention_head_dim=2,
        ).eval()
        text = CLIPTextConfig(
            vocab_size=99, hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
        )
        self.text_encoder = CLIPTextModel(text).eval()

    @torch.no_grad()
    def outputs(self) -> list[torch.Tensor]:
        draw = torch.Generator().manual_seed(2)
        text = self.text_encoder(torch.tensor([[1, 2, 3]])).last_hidden_state
        return [text, self.unet(torch.randn(1, 4, 8, 8, generator=draw), 7, text).sample]


def as_before(unet: Any) -> None:
    """Give the blocks the order that they had when the trainer was written: attn1, ff, attn2."""
    for module in unet.modules():
        if type(module).__name__ == "BasicTransformerBlock":
            module._modules["attn2"] = module._modules.pop("attn2")


def trained(pipe: Any, path: Path, classes: list[str], old: bool) -> list[torch.Tensor]:
    """Write a file of its format; what the networks give with it by its `weight_apply_lora`."""
    if old:
        as_before(pipe.unet)
    draw = np.random.default_rng(1)
    tensors, metadata = {}, {"unet": json.dumps(classes), "text_encoder": '["CLIPAttention"]'}
    for name, listed in {"unet": set(classes), "text_encoder": {"CLIPAttention"}}.items():
        number = 0
        for ancestor in getattr(pipe, name).modules():
            if ancestor.__class__.__name__ in listed:
                for _, module in ancestor.named_modules():
                    if isinstance(module, torch.nn.Linear):
                        rows, columns = module.weight.shape
                        up = draw.normal(0, 0.3, (rows, 2)).astype(np.float32)
                        down = draw.normal(0, 0.3, (2, columns)).astype(np.float32)
                        module.weight.data += torch.from_numpy(up @ down)
                        tensors |= {f"{name}:{number}:up": up, f"{name}:{number}:down": down}
                        metadata[f"{name}:{number}:rank"] = "2"
                        number += 1
    save_file(tensors, path, metadata)
    return pipe.outputs()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("classes", "old"),
    [(UNET_CLASSES, True), (UNET_CLASSES, False), (["Attention"], True), (["GEGLU"], False)],
)
def test_numbers_mean_the_modules_that_the_trainer_counted(
    tmp_path: Path, classes: list[str], old: bool
) -> None:
    pipe = Pipe()
    path = tmp_path / "numbered.safetensors"
    expected = trained(copy.deepcopy(pipe), path, classes, old)
    base = pipe.outputs()
    lora = inspect(path, "numbered")
    adapter = apply.load(pipe, lora, "numbered")
    apply.activate(pipe, {"numbered": 1.0})
    assert all((ours - theirs).abs().max() > 0.02 for ours, theirs in zip(expected, base, strict=True))
    for ours, theirs in zip(pipe.outputs(), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert len(adapter.placed) == len(lora.layers)
    again = apply.load(pipe, lora, "again")  # the modules are PEFT's now
    assert [one.paths for one in again.placed] == [one.paths for one in adapter.placed]


def test_another_base_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbered.safetensors"
    trained(Pipe(), path, UNET_CLASSES, old=True)
    lora = inspect(path, "numbered")
    narrow, short = Pipe(), Pipe()
    narrow.unet = UNet2DConditionModel(**{**narrow.unet.config, "cross_attention_dim": 40})
    with pytest.raises(GenerationError, match="the base's have other shapes"):
        apply.load(narrow, lora, "a")
    short.unet = UNet2DConditionModel(**{**short.unet.config, "layers_per_block": 1})
    with pytest.raises(GenerationError, match=r"numbers \d+ linear layers of its unet's .*base has \d+"):
        apply.load(short, lora, "a")
    del short.unet
    with pytest.raises(GenerationError, match="no place on the base"):
        apply.load(short, lora, "a")
