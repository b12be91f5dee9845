"""HunyuanVideo, FramePack and HunyuanImage 2.1.

diffusers, loaders/single_file_utils.py, convert_hunyuan_video_transformer_to_diffusers;
scripts/convert_hunyuan_image_to_diffusers.py. kohya's sd-scripts (library/hunyuan_image_modules.py) and
musubi-tuner train on fused weights, HunyuanImage's own checkpoint has q, k and v apart. ComfyUI builds both
of FLUX's blocks (comfy/ldm/hunyuan_video/model.py), so that some of its names are FLUX's.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import ADDED_QKV, QKV, Rows, Table, parts, swapped, under

_MLP: Rows = {"mlp.0": "linear_1", "mlp.2": "linear_2"}
_DOUBLE: Rows = {
    "img_attn_qkv": parts("attn", QKV),
    "img_attn_proj": "attn.to_out.0",
    "img_mlp.fc1": "ff.net.0.proj",
    "img_mlp.fc2": "ff.net.2",
    "img_mod.linear": "norm1.linear",
    "txt_attn_qkv": parts("attn", ADDED_QKV),
    "txt_attn_proj": "attn.to_add_out",
    "txt_mlp.fc1": "ff_context.net.0.proj",
    "txt_mlp.fc2": "ff_context.net.2",
    "txt_mod.linear": "norm1_context.linear",
}
_DOUBLE_COMFYUI: Rows = {  # its attention's names are the same when flattened
    "img_mlp.0": "ff.net.0.proj",
    "img_mlp.2": "ff.net.2",
    "img_mod.lin": "norm1.linear",
    "txt_mlp.0": "ff_context.net.0.proj",
    "txt_mlp.2": "ff_context.net.2",
    "txt_mod.lin": "norm1_context.linear",
}
_SINGLE: Rows = {
    "linear1": (*parts("attn", QKV), "proj_mlp"),
    "linear2": "proj_out",
    "modulation.linear": "norm.linear",
    "modulation.lin": "norm.linear",  # ComfyUI
}
_REFINER: Rows = {
    "self_attn_qkv": parts("attn", QKV),
    "self_attn_proj": "attn.to_out.0",
    "mlp.fc1": "ff.net.0.proj",
    "mlp.fc2": "ff.net.2",
    "mlp.0": "ff.net.0.proj",  # ComfyUI
    "mlp.2": "ff.net.2",
    "adaLN_modulation.1": "norm_out.linear",
}
_APART: Rows = {
    **{f"img_attn_{letter}": f"attn.{name}" for letter, name in zip("qkv", QKV, strict=True)},
    **{f"txt_attn_{letter}": f"attn.{name}" for letter, name in zip("qkv", ADDED_QKV, strict=True)},
}
_SINGLE_APART: Rows = {
    **{f"linear1_{letter}": f"attn.{name}" for letter, name in zip("qkv", QKV, strict=True)},
    "linear1_mlp": "proj_mlp",
    "linear2.fc": "proj_out",
}
_COMMON: tuple[Rows, ...] = (
    under("double_blocks.{}", "transformer_blocks.{}", {**_DOUBLE, **_DOUBLE_COMFYUI}),
    under("single_blocks.{}", "single_transformer_blocks.{}", _SINGLE),
    under(
        "txt_in.individual_token_refiner.blocks.{}",
        "context_embedder.token_refiner.refiner_blocks.{}",
        _REFINER,
    ),
    under("txt_in.t_embedder", "context_embedder.time_text_embed.timestep_embedder", _MLP),
    {
        "txt_in.input_embedder": "context_embedder.proj_in",
        "txt_in.c_embedder.linear_1": "context_embedder.time_text_embed.text_embedder.linear_1",
        "txt_in.c_embedder.linear_2": "context_embedder.time_text_embed.text_embedder.linear_2",
        "img_in.proj": "x_embedder.proj",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": swapped("norm_out.linear"),
    },
)

HUNYUAN_VIDEO = Table(
    *_COMMON,
    under("time_in", "time_text_embed.timestep_embedder", _MLP),
    under("guidance_in", "time_text_embed.guidance_embedder", _MLP),
    under("vector_in", "time_text_embed.text_embedder", {"in_layer": "linear_1", "out_layer": "linear_2"}),
)

HUNYUAN_IMAGE = Table(
    *_COMMON,
    under("double_blocks.{}", "transformer_blocks.{}", _APART),
    under("single_blocks.{}", "single_transformer_blocks.{}", _SINGLE_APART),
    under("time_in", "time_guidance_embed.timestep_embedder", _MLP),
    under("time_r_in", "time_guidance_embed.timestep_embedder_r", _MLP),
    under("guidance_in", "time_guidance_embed.guidance_embedder", _MLP),
    under("byt5_in", "context_embedder_2", {"fc1": "linear_1", "fc2": "linear_2", "fc3": "linear_3"}),
)
