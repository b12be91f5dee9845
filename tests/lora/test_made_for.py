"""A LoRA that finds its place on another model's base is put there with a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lora_tensors import Tensors, read
from test_family_shapes import attentions

from lora_checks.lora.made_for import doubts

FLUX = (("FluxTransformer2DModel", "CLIPTextModel"), "FluxPipeline")
KONTEXT = (FLUX[0], "FluxKontextPipeline")
CHROMA = (("ChromaTransformer2DModel",), "ChromaPipeline")
FLUX2 = (("Flux2Transformer2DModel",), "Flux2KleinPipeline")
SD = (("UNet2DConditionModel",), "StableDiffusionPipeline")
UNKNOWN = (("NewTransformer2DModel",), "NewPipeline")


def attention(family: str) -> Tensors:
    """A LoRA of rank 1 on the attentions of a model of the real width."""
    return {
        f"transformer.{path}.lora_{side}.weight": np.ones(shape, np.float16)
        for path, (rows, columns) in attentions(family).items()
        for side, shape in {"A": (1, columns), "B": (rows, 1)}.items()
    }


KLEIN, FLUX_1 = attention("FLUX.2 klein 4B"), attention("FLUX.1")


@pytest.mark.parametrize(
    ("tensors", "said", "base", "word"),
    [
        (KLEIN, "", FLUX, "names, shapes and number of FLUX.2 klein 4B's, and the base is FLUX.1"),
        (KLEIN, "Flux.2-klein-4b", FLUX, "metadata says FLUX.2 klein 4B, and the base is FLUX.1"),
        (KLEIN, "", FLUX2, ""),
        (KLEIN, "flux-1-dev/lora", FLUX, ""),  # five of its blocks, and it says so
        (FLUX_1, "", FLUX, ""),
        (FLUX_1, "", CHROMA, ""),
        (FLUX_1, "flux-1-dev/lora", CHROMA, "metadata says FLUX.1, and the base is Chroma"),
        (FLUX_1, "chroma/lora", FLUX, "metadata says Chroma, and the base is FLUX.1"),
        (FLUX_1, "flux_kontext", FLUX, "metadata says 'flux_kontext', and the base is a FluxPipeline"),
        (FLUX_1, "flux-1-dev/lora", KONTEXT, "'flux-1-dev/lora', and the base is a FluxKontextPipeline"),
        (FLUX_1, "flux_kontext", KONTEXT, ""),
        (FLUX_1, "", SD, "FLUX.1 or Chroma's, and the base is SD 1.x or SD 2.x or SDXL"),
        (FLUX_1, "flux-1-dev/lora", UNKNOWN, ""),
    ],
)
def test_what_speaks_against_the_base_is_said(
    tmp_path: Path, tensors: Tensors, said: str, base: tuple[tuple[str, ...], str], word: str
) -> None:
    lora = read(tmp_path, tensors, {"modelspec.architecture": said} if said else None)
    found = doubts(lora, *base)
    assert bool(found) == bool(word)
    assert word in "".join(found)
