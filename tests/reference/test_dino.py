"""DINO's class token against transformers with torchvision's preprocessing, and against timm's ViT."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision import transforms
from transformers import Dinov2Config, Dinov2Model, ViTConfig, ViTModel

from lora_checks.metrics.subject import dino
from lora_checks.networks.dino import Dino

SMALL = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3}


def as_they_do(photos: list[np.ndarray]) -> torch.Tensor:
    """``eval_knn.py`` of DINO and ``make_classification_eval_transform`` of DINOv2."""
    preprocess = transforms.Compose(
        [
            transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    return torch.stack([preprocess(Image.fromarray(photo)) for photo in photos])


@pytest.fixture
def odd(photos: list[np.ndarray]) -> list[np.ndarray]:
    """Upright, wide and square ones."""
    return [photos[0][:, :61], photos[1][:50], photos[2]]


@pytest.mark.parametrize("which", ["vit", "dinov2"])
def test_the_class_token(which: str, odd: list[np.ndarray], tmp_path: Path) -> None:
    """To 1e-5: the same network on pixels that are the same to a rounding in float32."""
    torch.manual_seed(0)
    if which == "vit":
        theirs = ViTModel(ViTConfig(**SMALL, intermediate_size=96), add_pooling_layer=False)
    else:
        theirs = Dinov2Model(Dinov2Config(**SMALL, mlp_ratio=2, patch_size=14, image_size=518))
    theirs.eval().save_pretrained(tmp_path)
    with torch.inference_mode():
        expected = theirs(as_they_do(odd)).last_hidden_state[:, 0].numpy()
    ours = Dino({"path": str(tmp_path)}, "cpu")
    found = ours.images(odd)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    similar = torch.nn.functional.cosine_similarity(
        torch.from_numpy(expected)[:, None], torch.from_numpy(expected)[None], dim=2
    )
    np.testing.assert_allclose(dino(found, found), similar, atol=1e-5)


def test_vit_s16_is_dinos_architecture(odd: list[np.ndarray], tmp_path: Path) -> None:
    """To 1e-4: timm's ViT-S/16 of DINO with random weights, saved in the layout of facebook/dino-vits16."""
    torch.manual_seed(0)
    theirs = timm.create_model("vit_small_patch16_224.dino", pretrained=False, num_classes=0).eval()
    save_file(published(theirs.state_dict()), tmp_path / "model.safetensors", {"format": "pt"})
    config = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536, "layer_norm_eps": 1e-6}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", **config}))
    with torch.inference_mode():
        expected = theirs.forward_features(as_they_do(odd[:2]))[:, 0].numpy()
    found = Dino({"path": str(tmp_path)}, "cpu").images(odd[:2])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


NAMES = {  # timm's: transformers' as published
    "pos_embed": "embeddings.position_embeddings",
    "cls_token": "embeddings.cls_token",
    "patch_embed.proj": "embeddings.patch_embeddings.projection",
    "blocks": "encoder.layer",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.output.dense",
    "mlp.fc1": "intermediate.dense",
    "mlp.fc2": "output.dense",
}


def published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    renamed = {}
    for name, tensor in state.items():
        for theirs, ours in NAMES.items():
            name = name.replace(theirs, ours)
        if "attn.qkv" in name:
            for part, rows in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[name.replace("attn.qkv", f"attention.attention.{part}")] = rows.contiguous()
        else:
            renamed[name.replace("norm.", "layernorm.") if name.startswith("norm.") else name] = tensor
    return renamed
