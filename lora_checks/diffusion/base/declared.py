"""What is known of pipelines beyond their signature and configuration, by the class of diffusers.

A line here only makes an error earlier and its advice exact. A pipeline without a line is measured before its
first image, as every other one is (`lora_checks.diffusion.tried`).
"""

from __future__ import annotations

from collections.abc import Mapping

# Pixels that width and height must be a multiple of: latents of this many rows and columns make one token of
# the denoiser, so that a size between two tokens is rounded or refused. The pixels of one latent come from
# the VAE's configuration.
PATCH: Mapping[str, int] = {
    "AnimaModularPipeline": 2,
    "AuraFlowPipeline": 2,
    "BriaFibo2Pipeline": 2,
    "BriaPipeline": 2,
    "ChromaPipeline": 2,
    "CogView3PlusPipeline": 2,
    "CogView4Pipeline": 2,
    "Cosmos2TextToImagePipeline": 2,
    "ErnieImagePipeline": 2,
    "Flux2KleinKVPipeline": 2,
    "Flux2KleinPipeline": 2,
    "Flux2Pipeline": 2,
    "FluxKontextPipeline": 2,
    "FluxPipeline": 2,
    "HiDreamImagePipeline": 2,
    "HunyuanDiTPAGPipeline": 2,
    "HunyuanDiTPipeline": 2,
    "Ideogram4Pipeline": 2,
    "Kandinsky5T2IPipeline": 2,
    "Krea2Pipeline": 2,
    "LongCatImagePipeline": 2,
    "Lumina2Pipeline": 2,
    "LuminaPipeline": 2,
    "NucleusMoEImagePipeline": 2,
    "OmniGenPipeline": 2,
    "OvisImagePipeline": 2,
    "PixArtAlphaPipeline": 2,
    "PixArtSigmaPAGPipeline": 2,
    "PixArtSigmaPipeline": 2,
    "QwenImage21Pipeline": 2,
    "QwenImagePipeline": 2,
    "ZImageOmniPipeline": 2,
    "ZImagePipeline": 2,
}
# Pixels of one latent, where the pipeline has a number of its own instead of its VAE's.
LATENT: Mapping[str, int] = {
    "BriaFiboPipeline": 16,
    "Lumina2Pipeline": 8,
    "LuminaPipeline": 8,
    "QwenImage21Pipeline": 16,
    "SanaPipeline": 32,
    "SanaSprintPipeline": 32,
}
# The pipelines whose `guidance_scale` is an input of the denoiser, and only of one with `guidance_embeds`.
EMBEDDED = frozenset({"FluxPipeline", "FluxKontextPipeline", "QwenImagePipeline"})
# The pipelines that guide nothing where model_index.json says `is_distilled`.
DISTILLED = frozenset({"Flux2KleinPipeline", "Flux2KleinKVPipeline"})
# Above which guidance_scale a pipeline guides at all; 1 where nothing is said here.
GUIDED_ABOVE: Mapping[str, float] = {"Krea2Pipeline": 0.0, "ZImagePipeline": 0.0}
# The greatest max_sequence_length that a pipeline's own check lets pass.
LONGEST: Mapping[str, int] = {
    "AnimaModularPipeline": 4096,
    "BriaFiboPipeline": 3000,
    "BriaPipeline": 512,
    "ChromaPipeline": 512,
    "FluxKontextPipeline": 512,
    "FluxPipeline": 512,
    "Kandinsky5T2IPipeline": 1024,
    "KolorsPipeline": 256,
    "Lumina2Pipeline": 512,
    "OvisImagePipeline": 256,
    "QwenImagePipeline": 1024,
    "StableDiffusion3PAGPipeline": 512,
    "StableDiffusion3Pipeline": 512,
}
# The pipelines that pad the texts of a batch to the longest, and whose denoisers read the padding as text;
# Anima's does with texts above the 512 tokens that it pads every one to.
READS_PADDING = frozenset({"AnimaModularPipeline", "CogView4ControlPipeline", "CogView4Pipeline"})
# Parts that a pipeline's constructor asks for, and that its call does without if they are None.
DOES_WITHOUT: Mapping[str, tuple[str, ...]] = {
    "StableDiffusion3Pipeline": ("text_encoder_3", "tokenizer_3"),
}
AREA = "max_area"  # the argument of a pipeline that scales each size to one area, by default a megapixel
