"""The tiny bases are usable: each loads as a published one and paints what its prompt and seed decide."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from families import FAMILIES, load, paint

FolderOf = Callable[[str], Path]


@pytest.mark.parametrize("name", FAMILIES)
def test_an_image_depends_on_prompt_and_seed(family_folder: FolderOf, name: str) -> None:
    pipe = load(family_folder(name))
    image = paint(pipe, "a red shirt")
    assert image.shape == (32, 32, 3)
    assert np.isfinite(image).all()
    assert image.std() > 0.05
    assert ((image == 0) | (image == 1)).mean() < 0.05  # hardly anything is cut at black and white
    assert (paint(pipe, "a red shirt") == image).all()
    assert np.abs(paint(pipe, "sks person, glasses") - image).max() > 0.1
    assert np.abs(paint(pipe, "a red shirt", seed=1) - image).max() > 0.1


@pytest.mark.parametrize("name", FAMILIES)
def test_every_text_encoder_has_a_say(family_folder: FolderOf, name: str) -> None:
    pipe = load(family_folder(name))
    image = paint(pipe, "a red shirt")
    encoders = [part for part in pipe.components if part.startswith("text_encoder")]
    for part in (part for part in encoders if getattr(pipe, part) is not None):
        pipe = load(family_folder(name))
        with torch.no_grad():
            for weight in getattr(pipe, part).parameters():
                weight.mul_(0.5)
        assert np.abs(paint(pipe, "a red shirt") - image).max() > 0.01, part


@pytest.mark.parametrize("name", FAMILIES)
def test_a_long_prompt_is_longer_than_the_tokenizer_reads(family_folder: FolderOf, name: str) -> None:
    """Tokenizers say how much they read, as those of the published models do."""
    pipe = load(family_folder(name))
    for part, limit in {"tokenizer": 77, "tokenizer_2": (77, 512), "tokenizer_3": 512}.items():
        tokenizer = getattr(pipe, part, None)
        if tokenizer is not None:
            assert tokenizer.model_max_length in np.atleast_1d(limit)
            assert len(tokenizer("a shirt " * 200, verbose=False).input_ids) > tokenizer.model_max_length
            assert tokenizer.unk_token_id not in tokenizer("red shirt").input_ids[:-1]
