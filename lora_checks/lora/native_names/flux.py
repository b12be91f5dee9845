"""FLUX.1 (BFL, XLabs), Chroma and FLUX.2.

diffusers, loaders/single_file_utils.py: convert_flux_transformer_checkpoint_to_diffusers,
convert_chroma_transformer_checkpoint_to_diffusers, convert_flux2_transformer_checkpoint_to_diffusers;
loaders/lora_conversion_utils.py: _convert_xlabs_flux_lora_to_diffusers. kohya's sd-scripts train on the
same names (library/flux_models.py, chroma_models.py), musubi-tuner and ai-toolkit too.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import ADDED_QKV, QKV, Rows, Table, parts, swapped, under

_ATTENTION: Rows = {
    "img_attn.qkv": parts("attn", QKV),
    "img_attn.proj": "attn.to_out.0",
    "txt_attn.qkv": parts("attn", ADDED_QKV),
    "txt_attn.proj": "attn.to_add_out",
}
_DOUBLE: Rows = {
    **_ATTENTION,
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "img_mod.lin": "norm1.linear",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "txt_mod.lin": "norm1_context.linear",
    "processor.qkv_lora1": parts("attn", QKV),  # XLabs
    "processor.proj_lora1": "attn.to_out.0",
    "processor.qkv_lora2": parts("attn", ADDED_QKV),
    "processor.proj_lora2": "attn.to_add_out",
}
_SINGLE: Rows = {
    "linear1": (*parts("attn", QKV), "proj_mlp"),
    "linear2": "proj_out",
    "modulation.lin": "norm.linear",
    "processor.qkv": parts("attn", QKV),  # XLabs
    "processor.proj": "proj_out",
}
_ENDS: Rows = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": swapped("norm_out.linear"),
}
_IN: Rows = {"in_layer": "linear_1", "out_layer": "linear_2"}

FLUX = Table(
    under("double_blocks.{}", "transformer_blocks.{}", _DOUBLE),
    under("single_blocks.{}", "single_transformer_blocks.{}", _SINGLE),
    under("time_in", "time_text_embed.timestep_embedder", _IN),
    under("vector_in", "time_text_embed.text_embedder", _IN),
    under("guidance_in", "time_text_embed.guidance_embedder", _IN),
    _ENDS,
)

CHROMA = Table(
    FLUX.rows,
    under("distilled_guidance_layer.layers.{}", "distilled_guidance_layer.layers.{}", _IN),
)

FLUX2 = Table(
    under(
        "double_blocks.{}",
        "transformer_blocks.{}",
        {
            **_ATTENTION,
            "img_mlp.0": "ff.linear_in",
            "img_mlp.2": "ff.linear_out",
            "txt_mlp.0": "ff_context.linear_in",
            "txt_mlp.2": "ff_context.linear_out",
        },
    ),
    {
        "single_blocks.{}.linear1": "single_transformer_blocks.{}.attn.to_qkv_mlp_proj",
        "single_blocks.{}.linear2": "single_transformer_blocks.{}.attn.to_out",
        "double_stream_modulation_img.lin": "double_stream_modulation_img.linear",
        "double_stream_modulation_txt.lin": "double_stream_modulation_txt.linear",
        "single_stream_modulation.lin": "single_stream_modulation.linear",
    },
    under("time_in", "time_guidance_embed.timestep_embedder", _IN),
    under("guidance_in", "time_guidance_embed.guidance_embedder", _IN),
    _ENDS,
)
