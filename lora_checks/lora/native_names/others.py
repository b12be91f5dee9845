"""Models with a short table each: AuraFlow, Cosmos (and Anima), LTX, Qwen-Image 2.1.

diffusers, loaders/single_file_utils.py: convert_auraflow_transformer_checkpoint_to_diffusers,
convert_cosmos_transformer_checkpoint_to_diffusers (2.0), convert_ltx_transformer_checkpoint_to_diffusers,
convert_ltx2_transformer_to_diffusers, convert_qwen_image21_transformer_checkpoint_to_diffusers;
loaders/lora_conversion_utils.py: _convert_non_diffusers_anima_lora_to_diffusers,
_convert_non_diffusers_ltx2_lora_to_diffusers.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import Rows, Table, parts, swapped, under

_GATED: Rows = {"c_fc1": "linear_1", "c_fc2": "linear_2", "c_proj": "out_projection"}
_IMAGE: Rows = {"w2q": "to_q", "w2k": "to_k", "w2v": "to_v", "w2o": "to_out.0"}
_TEXT: Rows = {"w1q": "add_q_proj", "w1k": "add_k_proj", "w1v": "add_v_proj", "w1o": "to_add_out"}
_BOTH: Rows = {"w1q": "to_q", "w1k": "to_k", "w1v": "to_v", "w1o": "to_out.0"}

AURAFLOW = Table(
    under(
        "double_layers.{}",
        "joint_transformer_blocks.{}",
        {
            **under("attn", "attn", {**_IMAGE, **_TEXT}),
            **under("mlpX", "ff", _GATED),
            **under("mlpC", "ff_context", _GATED),
            "modX.1": "norm1.linear",
            "modC.1": "norm1_context.linear",
        },
    ),
    under(
        "single_layers.{}",
        "single_transformer_blocks.{}",
        {**under("attn", "attn", _BOTH), **under("mlp", "ff", _GATED), "modCX.1": "norm1.linear"},
    ),
    {
        "t_embedder.mlp.0": "time_step_proj.linear_1",
        "t_embedder.mlp.2": "time_step_proj.linear_2",
        "cond_seq_linear": "context_embedder",
        "init_x_linear": "pos_embed.proj",
        "final_linear": "proj_out",
        "modF.1": swapped("norm_out.linear"),
    },
)

_COSMOS_ATTENTION: Rows = {
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "output_proj": "to_out.0",
}
_LINEARS: Rows = {"1": "linear_1", "2": "linear_2"}

COSMOS = Table(
    under(
        "blocks.{}",
        "transformer_blocks.{}",
        {
            **under("self_attn", "attn1", _COSMOS_ATTENTION),
            **under("cross_attn", "attn2", _COSMOS_ATTENTION),
            **under("adaln_modulation_self_attn", "norm1", _LINEARS),
            **under("adaln_modulation_cross_attn", "norm2", _LINEARS),
            **under("adaln_modulation_mlp", "norm3", _LINEARS),
            "mlp.layer1": "ff.net.0.proj",
            "mlp.layer2": "ff.net.2",
        },
    ),
    under("final_layer.adaln_modulation", "norm_out", _LINEARS),
    under("t_embedder.1", "time_embed.t_embedder", {"linear_1": "linear_1", "linear_2": "linear_2"}),
    {"x_embedder.proj.1": "patch_embed.proj", "final_layer.linear": "proj_out"},
)

_ADALN: Rows = {
    name: name for name in ("linear", "emb.timestep_embedder.linear_1", "emb.timestep_embedder.linear_2")
}

LTX = Table(under("adaln_single", "time_embed", _ADALN), {"patchify_proj": "proj_in"})

LTX2 = Table(
    LTX.rows,
    under("audio_adaln_single", "audio_time_embed", _ADALN),
    under("av_ca_video_scale_shift_adaln_single", "av_cross_attn_video_scale_shift", _ADALN),
    under("av_ca_a2v_gate_adaln_single", "av_cross_attn_video_a2v_gate", _ADALN),
    under("av_ca_audio_scale_shift_adaln_single", "av_cross_attn_audio_scale_shift", _ADALN),
    under("av_ca_v2a_gate_adaln_single", "av_cross_attn_audio_v2a_gate", _ADALN),
    under("prompt_adaln_single", "prompt_adaln", _ADALN),
    under("audio_prompt_adaln_single", "audio_prompt_adaln", _ADALN),
    {"audio_patchify_proj": "audio_proj_in"},
)

QWEN_IMAGE21 = Table(  # ComfyUI fuses the two layers of its gated MLP, the gate's rows first
    {"transformer_blocks.{}.img_mlp.gate_up": parts("transformer_blocks.{}.img_mlp", ("gate_layer", "proj"))}
)
