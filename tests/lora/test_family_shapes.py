"""What a file fits: the table against diffusers' classes, and files of the shapes that people have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import diffusers
import pytest
import torch

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.families import families_of
from lora_checks.lora.family_shapes import SHAPES
from lora_checks.lora.header import Tensor
from lora_checks.lora.layers import layers_of
from lora_checks.lora.native_names import table_of
from lora_checks.lora.said import said_families

# The published configurations, where they are not the class's own defaults.
KLEIN = {"guidance_embeds": False}
CONFIGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "FLUX.1": ({"guidance_embeds": True},),
    "FLUX.2 klein 4B": (
        {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 7680}
        | KLEIN,
    ),
    "FLUX.2 klein 9B": (
        {"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32, "joint_attention_dim": 12288}
        | KLEIN,
    ),
    "SD3": (
        {
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "dual_attention_layers": tuple(range(13)),
        },
        {"num_layers": 38, "num_attention_heads": 38, "caption_projection_dim": 2432},
    ),
    "HiDream": ({"patch_size": 2, "in_channels": 16, "caption_channels": [4096, 4096], "llama_layers": [0]},),
    "Lumina 2": ({"cap_feat_dim": 2304},),
    "Sana": (
        {},
        {
            "num_attention_heads": 36,
            "num_layers": 28,
            "num_cross_attention_heads": 16,
            "cross_attention_head_dim": 72,
            "cross_attention_dim": 1152,
        },
    ),
    "PixArt": ({"caption_channels": 4096},),
    "Wan": (
        {},
        {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
        {
            "num_attention_heads": 24,
            "ffn_dim": 14336,
            "num_layers": 30,
            "in_channels": 48,
            "out_channels": 48,
        },
    ),
    "Anima": ({"num_attention_heads": 16, "extra_pos_embed_type": None},),
}

SIZES = [(family, size) for family, (_, texts) in SHAPES.items() for size in range(len(texts))]


@cache
def modules(family: str, size: int = 0) -> dict[str, tuple[int, int]]:
    """Path -> rows and columns of every linear layer and convolution of a model, without its weights."""
    config = CONFIGS.get(family, ({},))[size]
    with torch.device("meta"):
        model = getattr(diffusers, SHAPES[family][0])(**config)
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return {
        n: (m.weight.shape[0], m.weight.shape[1]) for n, m in model.named_modules() if isinstance(m, kinds)
    }


def header(shapes: Mapping[str, tuple[int, int]], name: str = "transformer.{}") -> dict[str, Tensor]:
    """A LoRA of rank 4 on these modules."""
    tensors = {}
    for path, (rows, columns) in shapes.items():
        for side, shape in {"A": (4, columns), "B": (rows, 4)}.items():
            key = f"{name.format(path)}.lora_{side}.weight"
            tensors[key] = Tensor(key, "BF16", shape, 0, 0)
    return tensors


def fits(shapes: Mapping[str, tuple[int, int]], name: str = "transformer.{}") -> tuple[str, ...]:
    return families_of(layers_of(header(shapes, name)))


def attentions(family: str) -> dict[str, tuple[int, int]]:
    ends = (".to_q", ".to_k", ".to_v", ".to_out.0")
    return {
        path: shape
        for path, shape in modules(family).items()
        if path.endswith(ends) and "refiner" not in path
    }


@pytest.mark.parametrize(("family", "size"), SIZES)
def test_a_lora_of_every_module_fits_its_model_alone(family: str, size: int) -> None:
    also = ("Cosmos-Predict2",) if family == "Anima" else ()  # one architecture, one size
    for name in ("transformer.{}", "diffusion_model.{}", "{}", "base_model.model.{}"):
        assert fits(modules(family, size), name) == (family, *also), name
    flat = {path.replace(".", "_"): shape for path, shape in modules(family, size).items()}
    assert fits(flat, "lora_unet_{}") == fits(flat, "lora_transformer_{}") == (family, *also)


def native(family: str) -> dict[str, tuple[int, int]]:
    """The same under the original model's names, where it has others."""
    table: Any = table_of([SHAPES[family][0]])
    ours, found = modules(family), {}
    for name, row in table.rows.items() if table else ():
        if "processor" in name:  # XLabs' names for the same layers
            continue
        for numbers in [(n,) * name.count("{}") for n in range(60)] if "{}" in name else [()]:
            shapes = [ours.get(target.format(*numbers)) for target in row.targets]
            if all(shapes):
                found[name.format(*numbers)] = (sum(shape[0] for shape in shapes), shapes[0][1])
    return found


NATIVE = (
    "FLUX.1",
    "FLUX.2 dev",
    "FLUX.2 klein 4B",
    "FLUX.2 klein 9B",
    "Wan",
    "Krea 2",
    "Z-Image",
    "Ideogram 4",
)


@pytest.mark.parametrize("family", NATIVE)
def test_original_names_tell_it_too(family: str) -> None:
    shapes = native(family)
    assert len(shapes) > 20
    for name in ("diffusion_model.{}", "{}"):
        assert fits(shapes, name) == (family,)
    flat = {path.replace(".", "_"): shape for path, shape in shapes.items()}
    assert fits(flat, "lora_unet_{}") == (family,)


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ("FLUX.1", ("FLUX.1", "Chroma")),  # the same shapes, and as many blocks
        ("FLUX.2 klein 4B", ("FLUX.2 klein 4B",)),  # FLUX.1's shapes, in fewer blocks
        ("FLUX.2 klein 9B", ("FLUX.2 klein 9B",)),
        ("FLUX.2 dev", ("FLUX.2 dev",)),
        ("Qwen-Image", ("Qwen-Image",)),
        ("HunyuanVideo", ("HunyuanVideo",)),
        ("AuraFlow", ("AuraFlow",)),
        ("SD3", ("SD3",)),
        ("Sana", ("Sana",)),
        ("LTX", ("LTX",)),
    ],
)
def test_attentions_alone_tell_it_by_their_number(family: str, told: tuple[str, ...]) -> None:
    assert fits(attentions(family)) == told


def test_one_layer_may_be_of_several() -> None:
    one = {"transformer_blocks.0.attn.to_q": (3072, 3072)}
    assert fits(one) == (
        *("FLUX.1", "FLUX.2 klein 4B", "Chroma", "Qwen-Image", "HunyuanVideo", "Ovis-Image"),
    )
    assert fits({"transformer_blocks.30.attn.to_q": (3072, 3072)}) == ("Qwen-Image",)
    assert fits({"transformer_blocks.0.attn.to_q": (3072, 3070)}) == ()
    assert fits({"transformer_blocks.99.attn.to_q": (3072, 3072)}) == ()


def test_a_width_of_no_published_model_tells_nothing() -> None:
    """A tiny FLUX.2 has FLUX.1's names too, but for few."""
    assert fits({f"transformer_blocks.0.attn.to_{part}": (48, 48) for part in "qkv"}) == ()


@pytest.mark.parametrize(
    ("said", "families"),
    [
        ("stable-diffusion-v1/lora", ("SD 1.x",)),
        ("sdxl_base_v1-0", ("SDXL",)),
        ("flux-1-dev/lora", ("FLUX.1",)),
        ("Flux.1-Kontext-dev/lora", ("FLUX.1",)),
        ("flux_kontext", ("FLUX.1",)),
        ("Flux.2-dev", ("FLUX.2 dev",)),
        ("flux2", ("FLUX.2 dev",)),
        ("Flux.2-klein-4b", ("FLUX.2 klein 4B",)),
        ("flux2_klein_9b", ("FLUX.2 klein 9B",)),
        ("Z-Image", ("Z-Image",)),
        ("zimage", ("Z-Image",)),
        ("wan2.1-t2v-1.3b/lora", ("Wan",)),
        ("wan22_14b", ("Wan",)),
        ("Krea-2", ("Krea 2",)),
        ("Qwen-Image-Edit-2511", ("Qwen-Image",)),
        ("qwen_image", ("Qwen-Image",)),
        ("lumina-2/lora", ("Lumina 2",)),
        ("hunyuan-image-2.1/lora", ("HunyuanImage 2.1",)),
        ("anima-preview/lora", ("Anima",)),
        ("ovis-image-7b/lora", ("Ovis-Image",)),
        ("chroma/lora", ("Chroma",)),
        ("sd3m", ("SD3",)),
        ("something new", ()),
    ],
)
def test_the_metadata_names_a_base(said: str, families: tuple[str, ...]) -> None:
    assert said_families({"modelspec.architecture": said}) == families
    assert said_families({"ss_base_model_version": said}) == families


def test_lokr_factors_of_another_shape_are_refused() -> None:
    names = {"lokr_w1": (4, 12), "lokr_w2": (4, 36)}
    tensors = {
        f"diffusion_model.double_blocks.0.img_attn.qkv.{part}": Tensor(
            f"diffusion_model.double_blocks.0.img_attn.qkv.{part}", "BF16", shape, 0, 0
        )
        for part, shape in names.items()
    }
    with pytest.raises(LoraFileError, match=r"multiply to 16 x 432 .*three times as many rows"):
        layers_of(tensors)


def test_attentions_of_ovis_image_are_not_flux() -> None:
    """They have FLUX.1's names and shapes, in fewer blocks."""
    assert fits(attentions("Ovis-Image"))[0] == "Ovis-Image"
    assert "Ovis-Image" not in fits(attentions("FLUX.1"))
