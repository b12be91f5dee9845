"""Headers as files that people have: names and shapes of whole models, read as what they are.

The names are built from diffusers' models here, as each trainer spells them; only headers, without weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import pytest
import torch
from diffusers import UNet2DConditionModel
from test_family_shapes import modules, native

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.families import families_of
from lora_checks.lora.header import Tensor
from lora_checks.lora.layers import kinds_of, layers_of
from lora_checks.lora.numbered import numbered_of

Shapes = Mapping[str, tuple[int, ...]]


@cache
def unet(text: int = 768) -> dict[str, tuple[int, int]]:
    """The attention's layers of SD 1.5 (SD 2.1: 1024 wide text)."""
    with torch.device("meta"):
        model = UNet2DConditionModel(cross_attention_dim=text)
    return {
        path: (module.weight.shape[0], module.weight.shape[1])
        for path, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".attn" in path
    }


def pairs(
    names: Mapping[str, tuple[int, int]], down: str, up: str, *, rank: int = 4, alpha: str = ""
) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in names.items():
        shapes |= {f"{name}{down}": (rank, columns), f"{name}{up}": (rows, rank)}
        if alpha:
            shapes[f"{name}{alpha}"] = ()
    return shapes


def processors(prefix: str, text: int) -> Shapes:
    """diffusers before 0.22: `AttnProcsLayers` of LoRAAttnProcessor."""
    names = {}
    for path, shape in unet(text).items():
        block, _, name = path.rpartition(".attn")
        number, _, part = name.partition(".")
        names[f"{prefix}{block}.attn{number}.processor.{part.removesuffix('.0')}_lora"] = shape
    return pairs(names, ".down.weight", ".up.weight")


def numbered() -> Shapes:
    """cloneofsimo's, of SD 1.5: 144 layers of the UNet and 48 of its text encoder."""
    widths = [320] * 2 + [640] * 2 + [1280] * 2 + [1280] * 3 + [640] * 3 + [320] * 3 + [1280]
    shapes: list[tuple[int, int]] = []
    for width in widths:
        shapes += [(width, width)] * 4 + [(8 * width, width), (width, width)] + [(width, 768)] * 2
        shapes += [(width, width)]
    layers = {f"unet:{number}": shape for number, shape in enumerate(shapes)}
    layers |= {f"text_encoder:{number}": (768, 768) for number in range(48)}
    return pairs(layers, ":down", ":up")


def lokr(names: Mapping[str, tuple[int, int]], factor: int = 8) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {}
    for name, (rows, columns) in names.items():
        shapes |= {f"{name}.alpha": (), f"{name}.lokr_w1": (factor, factor)}
        shapes[f"{name}.lokr_w2"] = (rows // factor, columns // factor)
    return shapes


def spelt(names: Mapping[str, tuple[int, int]], form: str, flat: bool = False) -> dict[str, tuple[int, int]]:
    return {form.format(path.replace(".", "_") if flat else path): shape for path, shape in names.items()}


def of(names: Mapping[str, tuple[int, int]], *parts: str) -> dict[str, tuple[int, int]]:
    return {path: shape for path, shape in names.items() if any(part in path for part in parts)}


def with_magnitudes(shapes: Shapes) -> Shapes:
    """OneTrainer's DoRA: a magnitude for each input."""
    downs = {name: shape for name, shape in shapes.items() if name.endswith(".lora_down.weight")}
    return {
        **shapes,
        **{f"{n.removesuffix('.lora_down.weight')}.dora_scale": (1, s[1]) for n, s in downs.items()},
    }


KOHYA = {"down": ".lora_down.weight", "up": ".lora_up.weight", "alpha": ".alpha"}
PEFT = {"down": ".lora_A.weight", "up": ".lora_B.weight"}
DIFFSYNTH = {"down": ".lora_A.default.weight", "up": ".lora_B.default.weight"}
GOOD: Mapping[str, tuple[Callable[[], Shapes], str, tuple[str, ...], str]] = {
    "attention processors without prefix": (lambda: processors("", 768), "diffusers", ("SD 1.x",), "unet"),
    "attention processors of SD 2.1": (lambda: processors("unet.", 1024), "diffusers", ("SD 2.x",), "unet"),
    "numbered": (numbered, "cloneofsimo", ("SD 1.x",), "unet"),
    "klein LoKr": (
        lambda: lokr(spelt(of(native("FLUX.2 klein 4B"), "_blocks."), "diffusion_model.{}")),
        "ComfyUI", ("FLUX.2 klein 4B",), "transformer",
    ),
    "FLUX.1 ai-toolkit": (
        lambda: pairs(spelt(of(native("FLUX.1"), "_attn.", "mlp.", "linear"), "diffusion_model.{}"), **PEFT),
        "ComfyUI", ("FLUX.1", "Chroma"), "transformer",
    ),
    "FLUX.1 kohya": (
        lambda: pairs(spelt(of(native("FLUX.1"), "_blocks."), "lora_unet_{}", True), **KOHYA),
        "kohya", ("FLUX.1",), "transformer",
    ),
    "FLUX.1 OneTrainer DoRA": (
        lambda: with_magnitudes(
            pairs(spelt(of(modules("FLUX.1"), "blocks."), "lora_transformer_{}", True), **KOHYA)
        ),
        "OneTrainer", ("FLUX.1",), "transformer",
    ),
    "Qwen-Image diffusers": (
        lambda: pairs(spelt(of(modules("Qwen-Image"), ".attn."), "transformer.{}"), **PEFT),
        "diffusers", ("Qwen-Image",), "transformer",
    ),
    "Qwen-Image musubi": (
        lambda: pairs(spelt(of(modules("Qwen-Image"), "blocks."), "lora_unet_{}", True), **KOHYA),
        "kohya", ("Qwen-Image",), "transformer",
    ),
    "Anima kohya": (
        lambda: pairs(spelt(of(native("Anima"), "blocks."), "lora_unet_{}", True), **KOHYA),
        "kohya", ("Anima", "Cosmos-Predict2"), "denoiser",
    ),
    "Wan musubi": (
        lambda: pairs(spelt(of(native("Wan"), "blocks."), "lora_unet_{}", True), **KOHYA),
        "kohya", ("Wan",), "denoiser",
    ),
    "Z-Image DiffSynth": (
        lambda: pairs(of(modules("Z-Image"), "layers."), **DIFFSYNTH),
        "unprefixed", ("Z-Image",), "denoiser",
    ),
    "ERNIE-Image DiffSynth": (
        lambda: pairs(of(modules("ERNIE-Image"), "layers."), **DIFFSYNTH),
        "unprefixed", ("ERNIE-Image",), "denoiser",
    ),
}  # fmt: skip


def header(shapes: Shapes) -> dict[str, Tensor]:
    return {name: Tensor(name, "F16", shape, 0, 0) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", GOOD)
def test_it_is_read_as_what_it_is(name: str) -> None:
    build, kind, families, component = GOOD[name]
    layers = layers_of(header(build()))
    assert kinds_of(layers) == kind
    assert families_of(layers) == families
    assert component in {layer.place.component for layer in layers}
    assert len({layer.name for layer in layers}) == len(layers) > 40


def test_the_numbered_one_is_whole() -> None:
    layers = [layer.name for layer in layers_of(header(numbered()))]
    metadata = {"unet": '["CrossAttention", "Attention", "GEGLU"]', "text_encoder": '["CLIPSdpaAttention"]'}
    assert numbered_of(layers, metadata) == {
        "unet": ("Attention", "GEGLU"),
        "text_encoder": ("CLIPAttention",),
    }
    with pytest.raises(LoraFileError, match="does not say of which modules"):
        numbered_of(layers, {})


def broken() -> Shapes:
    """A conversion that flattened the endings, too."""
    flat = {path.replace(".", "_"): shape for path, shape in unet().items()}
    return pairs(spelt(flat, "lora_unet_unet_{}"), "_lora_down.weight", "_lora_up.weight")


def trailing() -> Shapes:
    return pairs(spelt(of(modules("FLUX.1"), "attn."), "lora_unet_{}_", True), **KOHYA)


BAD: Iterable[tuple[Callable[[], Shapes], str]] = (
    (broken, "has LoRA keys of no known kind, such as 'lora_unet_unet_"),
    (trailing, "names that end in an underscore"),
    (lambda: {"<token>": (1, 768)}, "is a textual inversion"),
    (lambda: {**numbered(), "<s1>": (768,), "<s2>": (768,)}, r"trained embeddings \('<s1>' and '<s2>'\)"),
    (lambda: {f"w_{x}_{n:03}": (4, 768) for x in "ab" for n in range(12)}, "a LoRA of Segment Anything"),
)


@pytest.mark.parametrize(("build", "told"), BAD)
def test_what_it_is_not_is_named(build: Callable[[], Shapes], told: str) -> None:
    with pytest.raises(LoraFileError, match=told):
        layers_of(header(build()))
