"""Translate module names of the original FLUX.1 (BFL, XLabs) and SD3 transformers to diffusers'.

FLUX follows diffusers' loaders/lora_conversion_utils.py (_convert_kohya_flux_lora_to_diffusers,
_convert_xlabs_flux_lora_to_diffusers, _convert_bfl_flux_control_lora_to_diffusers), SD3 its
loaders/single_file_utils.py (convert_sd3_transformer_checkpoint_to_diffusers); both with the names of
kohya's sd-scripts (library/flux_models.py, library/sd3_models.py).

Where diffusers splits one original weight into several, the targets are in the order of its rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lora_checks.lora.place import Place

_QKV = ("attn_to_q", "attn_to_k", "attn_to_v")
_ADDED_QKV = ("attn_add_q_proj", "attn_add_k_proj", "attn_add_v_proj")
_Table = Mapping[str, tuple[str, ...]]

_FLUX_DOUBLE: _Table = {
    "img_attn_qkv": _QKV,
    "img_attn_proj": ("attn_to_out_0",),
    "img_mlp_0": ("ff_net_0_proj",),
    "img_mlp_2": ("ff_net_2",),
    "img_mod_lin": ("norm1_linear",),
    "txt_attn_qkv": _ADDED_QKV,
    "txt_attn_proj": ("attn_to_add_out",),
    "txt_mlp_0": ("ff_context_net_0_proj",),
    "txt_mlp_2": ("ff_context_net_2",),
    "txt_mod_lin": ("norm1_context_linear",),
    "processor_qkv_lora1": _QKV,  # XLabs
    "processor_proj_lora1": ("attn_to_out_0",),
    "processor_qkv_lora2": _ADDED_QKV,
    "processor_proj_lora2": ("attn_to_add_out",),
}
_FLUX_SINGLE: _Table = {
    "linear1": (*_QKV, "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation_lin": ("norm_linear",),
    "processor_qkv": _QKV,  # XLabs
    "processor_proj": ("proj_out",),
}
_SD3_JOINT: _Table = {
    "x_block_attn_qkv": _QKV,
    "x_block_attn_proj": ("attn_to_out_0",),
    "x_block_attn2_qkv": ("attn2_to_q", "attn2_to_k", "attn2_to_v"),
    "x_block_attn2_proj": ("attn2_to_out_0",),
    "x_block_mlp_fc1": ("ff_net_0_proj",),
    "x_block_mlp_fc2": ("ff_net_2",),
    "x_block_adaLN_modulation_1": ("norm1_linear",),
    "context_block_attn_qkv": _ADDED_QKV,
    "context_block_attn_proj": ("attn_to_add_out",),
    "context_block_mlp_fc1": ("ff_context_net_0_proj",),
    "context_block_mlp_fc2": ("ff_context_net_2",),
    "context_block_adaLN_modulation_1": ("norm1_context_linear",),
}
_BLOCKS = {
    "double_blocks": ("FLUX", "transformer_blocks", _FLUX_DOUBLE),
    "single_blocks": ("FLUX", "single_transformer_blocks", _FLUX_SINGLE),
    "joint_blocks": ("SD3", "transformer_blocks", _SD3_JOINT),
}
_BLOCK = re.compile(f"({'|'.join(_BLOCKS)})_([0-9]{{1,3}})_(.+)")
_SINGLE = {
    "img_in": ("FLUX", "x_embedder"),
    "txt_in": ("FLUX", "context_embedder"),
    "time_in_in_layer": ("FLUX", "time_text_embed_timestep_embedder_linear_1"),
    "time_in_out_layer": ("FLUX", "time_text_embed_timestep_embedder_linear_2"),
    "vector_in_in_layer": ("FLUX", "time_text_embed_text_embedder_linear_1"),
    "vector_in_out_layer": ("FLUX", "time_text_embed_text_embedder_linear_2"),
    "guidance_in_in_layer": ("FLUX", "time_text_embed_guidance_embedder_linear_1"),
    "guidance_in_out_layer": ("FLUX", "time_text_embed_guidance_embedder_linear_2"),
    "x_embedder_proj": ("SD3", "pos_embed_proj"),
    "t_embedder_mlp_0": ("SD3", "time_text_embed_timestep_embedder_linear_1"),
    "t_embedder_mlp_2": ("SD3", "time_text_embed_timestep_embedder_linear_2"),
    "y_embedder_mlp_0": ("SD3", "time_text_embed_text_embedder_linear_1"),
    "y_embedder_mlp_2": ("SD3", "time_text_embed_text_embedder_linear_2"),
    "final_layer_linear": ("", "proj_out"),  # FLUX and SD3
    "final_layer_adaLN_modulation_1": ("", "norm_out_linear"),
}


def transformer_module(flat: str) -> Place | None:
    """Return the place of a module; None if neither original transformer has that name."""
    if flat in _SINGLE:
        family, target = _SINGLE[flat]
        # diffusers' `swap_scale_shift`: the original has the shift first, AdaLayerNormContinuous the scale
        return Place("transformer", (target,), swapped="adaLN" in flat, original=family or "FLUX or SD3")
    match = _BLOCK.fullmatch(flat)
    if match is None:
        return None
    blocks, number, rest = match.groups()
    family, head, table = _BLOCKS[blocks]
    if rest not in table:
        return None
    targets = tuple(f"{head}_{number}_{target}" for target in table[rest])
    # In the last SD3 block this layer gives only a shift and a scale, which are swapped as well.
    pair = rest == "context_block_adaLN_modulation_1"
    return Place("transformer", targets, swapped_if_pair=pair, original=family)
