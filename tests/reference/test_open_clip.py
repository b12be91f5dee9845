"""CLIP features and scores against a direct call of ``open_clip``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from lora_checks.metrics.adherence import clip_s, clip_score
from lora_checks.networks.clip import HUB, Clip

TEXTS = ["a red square", "a photo of a person in a blue shirt, smiling"]


def test_features_and_scores(clip_folder: Path, photos: list[np.ndarray]) -> None:
    """To 1e-6: the same calls on the same weights, in batches of another size."""
    name = f"local-dir:{clip_folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    model.eval()
    with torch.no_grad():
        images = torch.cat([model.encode_image(preprocess(Image.fromarray(p))[None]) for p in photos[:2]])
        texts = model.encode_text(open_clip.get_tokenizer(name)(TEXTS))
        cosines = torch.nn.functional.cosine_similarity(images, texts).numpy()
    ours = Clip({"path": str(clip_folder)}, "cpu")
    x, y = ours.images(photos[:2]), ours.texts(TEXTS)
    np.testing.assert_allclose(x, images.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y, texts.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(clip_score(x, y), cosines, rtol=0, atol=1e-6)
    np.testing.assert_allclose(clip_s(x, y), 2.5 * cosines.clip(min=0), rtol=0, atol=1e-6)


def test_our_table_of_repositories_is_open_clips() -> None:
    for (model, tag), repository in HUB.items():
        listed = open_clip.get_pretrained_cfg(model, tag)
        assert listed["hf_hub"] == f"{repository}/"
        assert listed.get("quick_gelu", False) == open_clip.get_model_config(model).get("quick_gelu", False)
