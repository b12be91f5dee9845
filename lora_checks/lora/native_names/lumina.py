"""Lumina-Image 2, and those that descend from it: Z-Image and Ideogram 4.

diffusers, loaders/single_file_utils.py: convert_lumina2_to_diffusers,
convert_z_image_transformer_checkpoint_to_diffusers; loaders/lora_conversion_utils.py,
_convert_non_diffusers_ideogram4_lora_to_diffusers. The names of Lumina are those of kohya's sd-scripts
(library/lumina_models.py), of Ideogram those of ai-toolkit and musubi-tuner.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import QKV, Rows, Table, parts, under

_BLOCKS = ("layers.{}", "noise_refiner.{}", "context_refiner.{}")
_LUMINA: Rows = {
    "attention.qkv": parts("attn", QKV),
    "attention.out": "attn.to_out.0",
    "feed_forward.w1": "feed_forward.linear_1",
    "feed_forward.w2": "feed_forward.linear_2",
    "feed_forward.w3": "feed_forward.linear_3",
    "adaLN_modulation.1": "norm1.linear",
}
_Z_IMAGE: Rows = {"attention.qkv": parts("attention", QKV), "attention.out": "attention.to_out.0"}

LUMINA2 = Table(
    *(under(block, block, _LUMINA) for block in _BLOCKS),
    {
        "cap_embedder.1": "time_caption_embed.caption_embedder.1",
        "t_embedder.mlp.0": "time_caption_embed.timestep_embedder.linear_1",
        "t_embedder.mlp.2": "time_caption_embed.timestep_embedder.linear_2",
        "final_layer.adaLN_modulation.1": "norm_out.linear_1",
        "final_layer.linear": "norm_out.linear_2",
    },
)

Z_IMAGE = Table(
    *(under(block, block, _Z_IMAGE) for block in _BLOCKS),
    {
        "x_embedder": "all_x_embedder.2-1",
        "final_layer.linear": "all_final_layer.2-1.linear",
        "final_layer.adaLN_modulation.1": "all_final_layer.2-1.adaLN_modulation.1",
    },
)

IDEOGRAM4 = Table(
    {
        "layers.{}.attention.qkv": parts("layers.{}.attention", QKV),
        "layers.{}.attention.o": "layers.{}.attention.to_out.0",
    }
)
