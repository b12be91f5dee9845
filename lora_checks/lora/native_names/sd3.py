"""Stable Diffusion 3 and 3.5.

diffusers, loaders/single_file_utils.py, convert_sd3_transformer_checkpoint_to_diffusers; the names are
those of kohya's sd-scripts too (library/sd3_models.py).
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import ADDED_QKV, QKV, Native, Rows, Table, parts, swapped, under

_JOINT: Rows = {
    "x_block.attn.qkv": parts("attn", QKV),
    "x_block.attn.proj": "attn.to_out.0",
    "x_block.attn2.qkv": parts("attn2", QKV),
    "x_block.attn2.proj": "attn2.to_out.0",
    "x_block.mlp.fc1": "ff.net.0.proj",
    "x_block.mlp.fc2": "ff.net.2",
    "x_block.adaLN_modulation.1": "norm1.linear",
    "context_block.attn.qkv": parts("attn", ADDED_QKV),
    "context_block.attn.proj": "attn.to_add_out",
    "context_block.mlp.fc1": "ff_context.net.0.proj",
    "context_block.mlp.fc2": "ff_context.net.2",
    # In the last block it gives only a shift and a scale, which diffusers exchanges.
    "context_block.adaLN_modulation.1": Native(("norm1_context.linear",), swapped_if_pair=True),
}
_MLP: Rows = {"mlp.0": "linear_1", "mlp.2": "linear_2"}

SD3 = Table(
    under("joint_blocks.{}", "transformer_blocks.{}", _JOINT),
    under("t_embedder", "time_text_embed.timestep_embedder", _MLP),
    under("y_embedder", "time_text_embed.text_embedder", _MLP),
    {
        "x_embedder.proj": "pos_embed.proj",
        "final_layer.linear": "proj_out",
        "final_layer.adaLN_modulation.1": swapped("norm_out.linear"),
    },
)
