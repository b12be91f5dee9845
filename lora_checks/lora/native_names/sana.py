"""Sana and PixArt, whose blocks have the same names.

diffusers, loaders/single_file_utils.py, convert_sana_transformer_to_diffusers;
scripts/convert_pixart_sigma_to_diffusers.py.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import QKV, Rows, Table, parts, under

_BLOCK: Rows = {
    "attn.qkv": parts("attn1", QKV),
    "attn.proj": "attn1.to_out.0",
    "cross_attn.q_linear": "attn2.to_q",
    "cross_attn.kv_linear": parts("attn2", QKV[1:]),
    "cross_attn.proj": "attn2.to_out.0",
}
_CONVOLUTIONS: Rows = {
    "mlp.inverted_conv.conv": "ff.conv_inverted",
    "mlp.depth_conv.conv": "ff.conv_depth",
    "mlp.point_conv.conv": "ff.conv_point",
}
_MLP: Rows = {"mlp.0": "linear_1", "mlp.2": "linear_2"}
_ENDS: Rows = {
    "y_embedder.y_proj.fc1": "caption_projection.linear_1",
    "y_embedder.y_proj.fc2": "caption_projection.linear_2",
    "final_layer.linear": "proj_out",
}

SANA = Table(
    under("blocks.{}", "transformer_blocks.{}", {**_BLOCK, **_CONVOLUTIONS}),
    under("t_embedder", "time_embed.emb.timestep_embedder", _MLP),
    {"x_embedder.proj": "patch_embed.proj", "t_block.1": "time_embed.linear"},
    _ENDS,
)

PIXART = Table(
    under(
        "blocks.{}",
        "transformer_blocks.{}",
        {**_BLOCK, "mlp.fc1": "ff.net.0.proj", "mlp.fc2": "ff.net.2"},
    ),
    under("t_embedder", "adaln_single.emb.timestep_embedder", _MLP),
    under("csize_embedder", "adaln_single.emb.resolution_embedder", _MLP),
    under("ar_embedder", "adaln_single.emb.aspect_ratio_embedder", _MLP),
    {"x_embedder.proj": "pos_embed.proj", "t_block.1": "adaln_single.linear"},
    _ENDS,
)
