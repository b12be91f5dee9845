"""A prompt is encoded once for all LoRAs that leave the text encoders alone, and no pixel changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import kinds
import pytest
import torch
from card import DEVICE, card
from families import load
from safetensors.torch import load_file, save_file
from sampled import FolderOf, guidance, prompts, specs

from lora_checks.core.records import Base, ImageSpec, Lora
from lora_checks.diffusion import encoded
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.generate import Studio
from lora_checks.lora.file import inspect
from lora_checks.lora.names import is_text_encoder

FAMILIES = ["SD 1.x", "SDXL", "SD3", "FLUX", "Qwen-Image", "Z-Image"]


@pytest.fixture(scope="module")
def folder(family_folder: FolderOf) -> Path:
    return family_folder("SDXL")


@pytest.fixture(scope="module")
def loras(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Lora]:
    """Two LoRAs of the denoiser, and one of the text encoders too."""
    where, pipe = tmp_path_factory.mktemp("loras"), load(folder)
    paths = [kinds.build("kohya LoRA", pipe, where / f"lora{i}.safetensors", seed=i) for i in range(3)]
    for path in paths[:2]:
        kept = {name: tensor for name, tensor in load_file(path).items() if "lora_te" not in name}
        save_file(kept, path)
    return [inspect(path, path.stem) for path in paths]


@contextmanager
def encodings() -> Iterator[Counter[str]]:
    """Count the calls of each text encoder, from the moment the pipeline is loaded."""
    counts: Counter[str] = Counter()

    def count(name: str, *_: Any) -> None:
        counts[name] += 1

    read = Studio._load_base

    def load_base(studio: Studio) -> None:
        read(studio)
        for name, part in studio._pipe.components.items():
            if is_text_encoder(name) and isinstance(part, torch.nn.Module):
                part.register_forward_pre_hook(lambda *_, name=name: count(name))

    with patch.object(Studio, "_load_base", load_base):
        yield counts


def studio(folder: Path, device: str = "cpu", offload: str = "none", **sampler: Any) -> Studio:
    return Studio(resolve(Base(str(folder))), prompts(**sampler), device, "float32", memory=Memory(offload))


def pngs(one: Studio, wanted: Sequence[ImageSpec], lora: Lora | None) -> list[bytes]:
    return [image.png() for image in one.render(wanted, lora)]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_second_image_has_the_pixels_of_the_first(family: str, family_folder: FolderOf) -> None:
    sampler = {"guidance": guidance(family)}
    if family == "Qwen-Image":
        sampler = {"guidance": None, "true_cfg_scale": 3.0}
    one = studio(family_folder(family), **sampler)
    wanted = specs(prompts(**sampler), 2)
    with encodings() as counts:
        first = pngs(one, wanted, None)
        once = dict(counts)
        again = pngs(one, wanted, None)
    assert first == again
    assert once
    assert counts == once


def test_loras_that_leave_the_encoders_alone_share_what_they_read(folder: Path, loras: list[Lora]) -> None:
    one, wanted = studio(folder), specs(prompts(), 2)
    with encodings() as counts:
        made = [pngs(one, wanted, lora) for lora in (None, loras[0], loras[1])]
        assert counts == {"text_encoder": 1, "text_encoder_2": 1}
        made.append(pngs(one, wanted, loras[2]))
        assert counts == {"text_encoder": 2, "text_encoder_2": 2}
        weaker = replace(loras[2], scale=0.5)
        made.append(pngs(one, wanted, weaker))
        assert counts == {"text_encoder": 3, "text_encoder_2": 3}
        assert pngs(one, wanted, loras[2]) == made[3]
        assert pngs(one, wanted, loras[0]) == made[1]
        assert counts == {"text_encoder": 3, "text_encoder_2": 3}
    with patch.object(encoded, "METHOD", "none"):
        plain = studio(folder)
        assert made == [pngs(plain, wanted, lora) for lora in (None, *loras, weaker)]


def test_another_batch_is_encoded_anew(folder: Path) -> None:
    """A prompt beside others may differ from the same prompt alone in its last digit."""
    one, wanted = studio(folder), specs(prompts(), 2)
    with encodings() as counts:
        pngs(one, wanted, None)
        pngs(one, wanted[:1], None)
    assert counts["text_encoder"] == 2


def test_what_is_kept_has_a_limit() -> None:
    calls: Counter[str] = Counter()

    class Pipe:
        def encode_prompt(self, prompt: str) -> tuple[Any, None, list[Any]]:
            calls[prompt] += 1
            return torch.full((2, 4), float(prompt)), None, [torch.zeros(3)]

    pipe, kept = Pipe(), encoded.Encoded(most=2 * (8 + 3) * 4)
    with kept.on(pipe, ()):
        for prompt in ("1", "2", "1", "3", "1", "2"):
            output = pipe.encode_prompt(prompt)
            assert output[0].tolist() == [[float(prompt)] * 4] * 2
            assert output[1] is None
            output[0].zero_()  # whoever gets it may change it
    assert calls == {"1": 1, "2": 2, "3": 1}
    assert "encode_prompt" not in vars(pipe)


def test_an_encoder_that_was_sent_home_stays_there(folder: Path, loras: list[Lora]) -> None:
    """With --lora-offload model the second LoRA needs the denoiser and the VAE alone."""
    with card(1 << 40) as there:
        one, wanted = studio(folder, DEVICE, "model"), specs(prompts(), 1)
        list(one.render(wanted, loras[0]))
        before = len(there.trips)
        list(one.render(wanted, loras[1]))
        classes = {name for name, place in there.trips[before:] if place == DEVICE}
    assert classes == {"UNet2DConditionModel", "AutoencoderKL"}
