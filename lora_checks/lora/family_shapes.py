"""Names and shapes of the modules of published denoisers, from which `families` tells what a file fits.

They are those of diffusers' classes at the published configurations (config.json of each release), with "_"
for "." in names. A line is ``BLOCKS NUMBER: ROWSxCOLUMNS NAME NAME ...; ROWSxCOLUMNS ...``; "-" stands for
the modules outside the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

# Family -> diffusers' class, and a description for each published size.
SHAPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "SD3": (
        "SD3Transformer2DModel",
        (
            """
transformer_blocks 24: 9216x1536 norm1_linear norm1_context_linear; 13824x1536 norm1_linear; 3072x1536
    norm1_context_linear; 1536x1536 attn_to_q attn_to_k attn_to_v attn_add_k_proj attn_add_v_proj
    attn_add_q_proj attn_to_out_0 attn_to_add_out attn2_to_q attn2_to_k attn2_to_v attn2_to_out_0;
    6144x1536 ff_net_0_proj ff_context_net_0_proj; 1536x6144 ff_net_2 ff_context_net_2
- 1: 1536x16 pos_embed_proj; 1536x256 time_text_embed_timestep_embedder_linear_1; 1536x1536
    time_text_embed_timestep_embedder_linear_2 time_text_embed_text_embedder_linear_2; 1536x2048
    time_text_embed_text_embedder_linear_1; 1536x4096 context_embedder; 3072x1536 norm_out_linear; 64x1536
    proj_out
            """,
            """
transformer_blocks 38: 14592x2432 norm1_linear norm1_context_linear; 4864x2432 norm1_context_linear;
    2432x2432 attn_to_q attn_to_k attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0
    attn_to_add_out; 9728x2432 ff_net_0_proj ff_context_net_0_proj; 2432x9728 ff_net_2 ff_context_net_2
- 1: 2432x16 pos_embed_proj; 2432x256 time_text_embed_timestep_embedder_linear_1; 2432x2432
    time_text_embed_timestep_embedder_linear_2 time_text_embed_text_embedder_linear_2; 2432x2048
    time_text_embed_text_embedder_linear_1; 2432x4096 context_embedder; 4864x2432 norm_out_linear; 64x2432
    proj_out
            """,
        ),
    ),
    "FLUX.1": (
        "FluxTransformer2DModel",
        (
            """
transformer_blocks 19: 18432x3072 norm1_linear norm1_context_linear; 3072x3072 attn_to_q attn_to_k
    attn_to_v attn_to_out_0 attn_add_q_proj attn_add_k_proj attn_add_v_proj attn_to_add_out; 12288x3072
    ff_net_0_proj ff_context_net_0_proj; 3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 38: 9216x3072 norm_linear; 12288x3072 proj_mlp; 3072x15360 proj_out; 3072x3072
    attn_to_q attn_to_k attn_to_v
- 1: 3072x256 time_text_embed_timestep_embedder_linear_1 time_text_embed_guidance_embedder_linear_1;
    3072x3072 time_text_embed_timestep_embedder_linear_2 time_text_embed_guidance_embedder_linear_2
    time_text_embed_text_embedder_linear_2; 3072x768 time_text_embed_text_embedder_linear_1; 3072x4096
    context_embedder; 3072x64 x_embedder; 6144x3072 norm_out_linear; 64x3072 proj_out
            """,
        ),
    ),
    "FLUX.2 dev": (
        "Flux2Transformer2DModel",
        (
            """
transformer_blocks 8: 6144x6144 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 36864x6144 ff_linear_in ff_context_linear_in;
    6144x18432 ff_linear_out ff_context_linear_out
single_transformer_blocks 48: 55296x6144 attn_to_qkv_mlp_proj; 6144x24576 attn_to_out
- 1: 6144x256 time_guidance_embed_timestep_embedder_linear_1
    time_guidance_embed_guidance_embedder_linear_1; 6144x6144
    time_guidance_embed_timestep_embedder_linear_2 time_guidance_embed_guidance_embedder_linear_2;
    36864x6144 double_stream_modulation_img_linear double_stream_modulation_txt_linear; 18432x6144
    single_stream_modulation_linear; 6144x128 x_embedder; 6144x15360 context_embedder; 12288x6144
    norm_out_linear; 128x6144 proj_out
            """,
        ),
    ),
    "FLUX.2 klein 4B": (
        "Flux2Transformer2DModel",
        (
            """
transformer_blocks 5: 3072x3072 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 18432x3072 ff_linear_in ff_context_linear_in;
    3072x9216 ff_linear_out ff_context_linear_out
single_transformer_blocks 20: 27648x3072 attn_to_qkv_mlp_proj; 3072x12288 attn_to_out
- 1: 3072x256 time_guidance_embed_timestep_embedder_linear_1; 3072x3072
    time_guidance_embed_timestep_embedder_linear_2; 18432x3072 double_stream_modulation_img_linear
    double_stream_modulation_txt_linear; 9216x3072 single_stream_modulation_linear; 3072x128 x_embedder;
    3072x7680 context_embedder; 6144x3072 norm_out_linear; 128x3072 proj_out
            """,
        ),
    ),
    "FLUX.2 klein 9B": (
        "Flux2Transformer2DModel",
        (
            """
transformer_blocks 8: 4096x4096 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 24576x4096 ff_linear_in ff_context_linear_in;
    4096x12288 ff_linear_out ff_context_linear_out
single_transformer_blocks 24: 36864x4096 attn_to_qkv_mlp_proj; 4096x16384 attn_to_out
- 1: 4096x256 time_guidance_embed_timestep_embedder_linear_1; 4096x4096
    time_guidance_embed_timestep_embedder_linear_2; 24576x4096 double_stream_modulation_img_linear
    double_stream_modulation_txt_linear; 12288x4096 single_stream_modulation_linear; 4096x128 x_embedder;
    4096x12288 context_embedder; 8192x4096 norm_out_linear; 128x4096 proj_out
            """,
        ),
    ),
    "Chroma": (
        "ChromaTransformer2DModel",
        (
            """
distilled_guidance_layer_layers 5: 5120x5120 linear_1 linear_2
transformer_blocks 19: 3072x3072 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 12288x3072 ff_net_0_proj ff_context_net_0_proj;
    3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 38: 12288x3072 proj_mlp; 3072x15360 proj_out; 3072x3072 attn_to_q attn_to_k
    attn_to_v
- 1: 5120x64 distilled_guidance_layer_in_proj; 3072x5120 distilled_guidance_layer_out_proj; 3072x4096
    context_embedder; 3072x64 x_embedder; 64x3072 proj_out
            """,
        ),
    ),
    "Qwen-Image": (
        "QwenImageTransformer2DModel",
        (
            """
transformer_blocks 60: 18432x3072 img_mod_1 txt_mod_1; 3072x3072 attn_to_q attn_to_k attn_to_v
    attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 12288x3072
    img_mlp_net_0_proj txt_mlp_net_0_proj; 3072x12288 img_mlp_net_2 txt_mlp_net_2
- 1: 3072x256 time_text_embed_timestep_embedder_linear_1; 3072x3072
    time_text_embed_timestep_embedder_linear_2; 3072x64 img_in; 3072x3584 txt_in; 6144x3072
    norm_out_linear; 64x3072 proj_out
            """,
        ),
    ),
    "Z-Image": (
        "ZImageTransformer2DModel",
        (
            """
noise_refiner 2: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2; 15360x256 adaLN_modulation_0
context_refiner 2: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2
layers 30: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2; 15360x256 adaLN_modulation_0
- 1: 3840x64 all_x_embedder_2-1; 64x3840 all_final_layer_2-1_linear; 3840x256
    all_final_layer_2-1_adaLN_modulation_1; 1024x256 t_embedder_mlp_0; 256x1024 t_embedder_mlp_2;
    3840x2560 cap_embedder_1
            """,
        ),
    ),
    "Krea 2": (
        "Krea2Transformer2DModel",
        (
            """
text_fusion_layerwise_blocks 2: 2560x2560 attn_to_q attn_to_k attn_to_v attn_to_gate attn_to_out_0;
    6912x2560 ff_gate ff_up; 2560x6912 ff_down
text_fusion_refiner_blocks 2: 2560x2560 attn_to_q attn_to_k attn_to_v attn_to_gate attn_to_out_0;
    6912x2560 ff_gate ff_up; 2560x6912 ff_down
transformer_blocks 28: 6144x6144 attn_to_q attn_to_gate attn_to_out_0; 1536x6144 attn_to_k attn_to_v;
    16384x6144 ff_gate ff_up; 6144x16384 ff_down
- 1: 6144x64 img_in; 6144x256 time_embed_linear_1; 6144x6144 time_embed_linear_2 txt_in_linear_2;
    36864x6144 time_mod_proj; 1x12 text_fusion_projector; 6144x2560 txt_in_linear_1; 64x6144
    final_layer_linear
            """,
        ),
    ),
    "HiDream": (
        "HiDreamImageTransformer2DModel",
        (
            """
double_stream_blocks 16: 30720x2560 block_adaLN_modulation_1; 2560x2560 block_attn1_to_q block_attn1_to_k
    block_attn1_to_v block_attn1_to_out block_attn1_to_q_t block_attn1_to_k_t block_attn1_to_v_t
    block_attn1_to_out_t; 3584x2560 block_ff_i_shared_experts_w1 block_ff_i_shared_experts_w3; 2560x3584
    block_ff_i_shared_experts_w2; 6912x2560 block_ff_i_experts_0_w1 block_ff_i_experts_0_w3
    block_ff_i_experts_1_w1 block_ff_i_experts_1_w3 block_ff_i_experts_2_w1 block_ff_i_experts_2_w3
    block_ff_i_experts_3_w1 block_ff_i_experts_3_w3 block_ff_t_w1 block_ff_t_w3; 2560x6912
    block_ff_i_experts_0_w2 block_ff_i_experts_1_w2 block_ff_i_experts_2_w2 block_ff_i_experts_3_w2
    block_ff_t_w2
single_stream_blocks 32: 15360x2560 block_adaLN_modulation_1; 2560x2560 block_attn1_to_q block_attn1_to_k
    block_attn1_to_v block_attn1_to_out; 3584x2560 block_ff_i_shared_experts_w1
    block_ff_i_shared_experts_w3; 2560x3584 block_ff_i_shared_experts_w2; 6912x2560
    block_ff_i_experts_0_w1 block_ff_i_experts_0_w3 block_ff_i_experts_1_w1 block_ff_i_experts_1_w3
    block_ff_i_experts_2_w1 block_ff_i_experts_2_w3 block_ff_i_experts_3_w1 block_ff_i_experts_3_w3;
    2560x6912 block_ff_i_experts_0_w2 block_ff_i_experts_1_w2 block_ff_i_experts_2_w2
    block_ff_i_experts_3_w2
caption_projection 49: 2560x4096 linear
- 1: 2560x256 t_embedder_timestep_embedder_linear_1; 2560x2560 t_embedder_timestep_embedder_linear_2
    p_embedder_pooled_embedder_linear_2; 2560x2048 p_embedder_pooled_embedder_linear_1; 2560x64
    x_embedder_proj; 64x2560 final_layer_linear; 5120x2560 final_layer_adaLN_modulation_1
            """,
        ),
    ),
    "Lumina 2": (
        "Lumina2Transformer2DModel",
        (
            """
noise_refiner 2: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2; 9216x1024 norm1_linear
context_refiner 2: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2
layers 26: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2; 9216x1024 norm1_linear
- 1: 2304x64 x_embedder; 1024x256 time_caption_embed_timestep_embedder_linear_1; 1024x1024
    time_caption_embed_timestep_embedder_linear_2; 2304x2304 time_caption_embed_caption_embedder_1;
    2304x1024 norm_out_linear_1; 64x2304 norm_out_linear_2
            """,
        ),
    ),
    "AuraFlow": (
        "AuraFlowTransformer2DModel",
        (
            """
joint_transformer_blocks 4: 18432x3072 norm1_linear norm1_context_linear; 3072x3072 attn_to_q attn_to_k
    attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 8192x3072
    ff_linear_1 ff_linear_2 ff_context_linear_1 ff_context_linear_2; 3072x8192 ff_out_projection
    ff_context_out_projection
single_transformer_blocks 32: 18432x3072 norm1_linear; 3072x3072 attn_to_q attn_to_k attn_to_v
    attn_to_out_0; 8192x3072 ff_linear_1 ff_linear_2; 3072x8192 ff_out_projection
- 1: 3072x16 pos_embed_proj; 3072x2048 context_embedder; 3072x256 time_step_proj_linear_1; 3072x3072
    time_step_proj_linear_2; 6144x3072 norm_out_linear; 16x3072 proj_out
            """,
        ),
    ),
    "CogView4": (
        "CogView4Transformer2DModel",
        (
            """
transformer_blocks 30: 30720x512 norm1_linear; 2560x2560 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0;
    10240x2560 ff_net_0_proj; 2560x10240 ff_net_2
- 1: 2560x64 patch_embed_proj; 2560x4096 patch_embed_text_proj; 512x2560
    time_condition_embed_timestep_embedder_linear_1; 512x512
    time_condition_embed_timestep_embedder_linear_2 time_condition_embed_condition_embedder_linear_2;
    512x1536 time_condition_embed_condition_embedder_linear_1; 5120x512 norm_out_linear; 64x2560 proj_out
            """,
        ),
    ),
    "Sana": (
        "SanaTransformer2DModel",
        (
            """
transformer_blocks 20: 2240x2240 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 11200x2240 ff_conv_inverted; 11200x1 ff_conv_depth; 2240x5600 ff_conv_point
- 1: 2240x32 patch_embed_proj; 2240x256 time_embed_emb_timestep_embedder_linear_1; 2240x2240
    time_embed_emb_timestep_embedder_linear_2 caption_projection_linear_2; 13440x2240 time_embed_linear;
    2240x2304 caption_projection_linear_1; 32x2240 proj_out
            """,
            """
transformer_blocks 28: 1152x1152 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 5760x1152 ff_conv_inverted; 5760x1 ff_conv_depth; 1152x2880 ff_conv_point
- 1: 1152x32 patch_embed_proj; 1152x256 time_embed_emb_timestep_embedder_linear_1; 1152x1152
    time_embed_emb_timestep_embedder_linear_2 caption_projection_linear_2; 6912x1152 time_embed_linear;
    1152x2304 caption_projection_linear_1; 32x1152 proj_out
            """,
        ),
    ),
    "PixArt": (
        "PixArtTransformer2DModel",
        (
            """
transformer_blocks 28: 1152x1152 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 4608x1152 ff_net_0_proj; 1152x4608 ff_net_2
- 1: 1152x4 pos_embed_proj; 32x1152 proj_out; 1152x256 adaln_single_emb_timestep_embedder_linear_1;
    1152x1152 adaln_single_emb_timestep_embedder_linear_2 caption_projection_linear_2; 384x256
    adaln_single_emb_resolution_embedder_linear_1 adaln_single_emb_aspect_ratio_embedder_linear_1; 384x384
    adaln_single_emb_resolution_embedder_linear_2 adaln_single_emb_aspect_ratio_embedder_linear_2;
    6912x1152 adaln_single_linear; 1152x4096 caption_projection_linear_1
            """,
        ),
    ),
    "ERNIE-Image": (
        "ErnieImageTransformer2DModel",
        (
            """
layers 24: 3072x3072 self_attention_to_q self_attention_to_k self_attention_to_v self_attention_to_out_0;
    8192x3072 mlp_gate_proj mlp_up_proj; 3072x8192 mlp_linear_fc2
- 1: 3072x128 x_embedder_proj; 3072x2560 text_proj; 3072x3072 time_embedding_linear_1
    time_embedding_linear_2; 18432x3072 adaLN_modulation_1; 6144x3072 final_norm_linear; 128x3072
    final_linear
            """,
        ),
    ),
    "Ideogram 4": (
        "Ideogram4Transformer2DModel",
        (
            """
layers 34: 4608x4608 attention_to_q attention_to_k attention_to_v attention_to_out_0; 12288x4608
    feed_forward_w1 feed_forward_w3; 4608x12288 feed_forward_w2; 18432x512 adaln_modulation
- 1: 4608x128 input_proj; 4608x53248 llm_cond_proj; 4608x4608 t_embedding_mlp_in t_embedding_mlp_out;
    512x4608 adaln_proj; 128x4608 final_layer_linear; 4608x512 final_layer_adaln_modulation
            """,
        ),
    ),
    "HunyuanImage 2.1": (
        "HunyuanImageTransformer2DModel",
        (
            """
context_embedder_token_refiner_refiner_blocks 2: 3584x3584 attn_to_q attn_to_k attn_to_v attn_to_out_0;
    14336x3584 ff_net_0_proj; 3584x14336 ff_net_2; 7168x3584 norm_out_linear
transformer_blocks 20: 21504x3584 norm1_linear norm1_context_linear; 3584x3584 attn_to_q attn_to_k
    attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 14336x3584
    ff_net_0_proj ff_context_net_0_proj; 3584x14336 ff_net_2 ff_context_net_2
single_transformer_blocks 40: 3584x3584 attn_to_q attn_to_k attn_to_v; 10752x3584 norm_linear; 14336x3584
    proj_mlp; 3584x17920 proj_out
- 1: 3584x64 x_embedder_proj; 3584x256 context_embedder_time_text_embed_timestep_embedder_linear_1
    time_guidance_embed_timestep_embedder_linear_1; 3584x3584
    context_embedder_time_text_embed_timestep_embedder_linear_2
    context_embedder_time_text_embed_text_embedder_linear_1
    context_embedder_time_text_embed_text_embedder_linear_2 context_embedder_proj_in
    time_guidance_embed_timestep_embedder_linear_2; 7168x3584 norm_out_linear; 64x3584 proj_out
            """,
        ),
    ),
    "HunyuanVideo": (
        "HunyuanVideoTransformer3DModel",
        (
            """
context_embedder_token_refiner_refiner_blocks 2: 3072x3072 attn_to_q attn_to_k attn_to_v attn_to_out_0;
    12288x3072 ff_net_0_proj; 3072x12288 ff_net_2; 6144x3072 norm_out_linear
transformer_blocks 20: 18432x3072 norm1_linear norm1_context_linear; 3072x3072 attn_to_q attn_to_k
    attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 12288x3072
    ff_net_0_proj ff_context_net_0_proj; 3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 40: 3072x3072 attn_to_q attn_to_k attn_to_v; 9216x3072 norm_linear; 12288x3072
    proj_mlp; 3072x15360 proj_out
- 1: 3072x256 context_embedder_time_text_embed_timestep_embedder_linear_1
    time_text_embed_timestep_embedder_linear_1 time_text_embed_guidance_embedder_linear_1; 3072x3072
    context_embedder_time_text_embed_timestep_embedder_linear_2
    context_embedder_time_text_embed_text_embedder_linear_2 time_text_embed_timestep_embedder_linear_2
    time_text_embed_text_embedder_linear_2 time_text_embed_guidance_embedder_linear_2; 3072x4096
    context_embedder_time_text_embed_text_embedder_linear_1 context_embedder_proj_in; 3072x768
    time_text_embed_text_embedder_linear_1; 6144x3072 norm_out_linear; 64x3072 proj_out
            """,
        ),
    ),
    "Wan": (
        "WanTransformer3DModel",
        (
            """
blocks 40: 5120x5120 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 13824x5120 ffn_net_0_proj; 5120x13824 ffn_net_2
- 1: 5120x256 condition_embedder_time_embedder_linear_1; 5120x5120
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 30720x5120
    condition_embedder_time_proj; 5120x4096 condition_embedder_text_embedder_linear_1; 64x5120 proj_out
            """,
            """
blocks 30: 1536x1536 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 8960x1536 ffn_net_0_proj; 1536x8960 ffn_net_2
- 1: 1536x256 condition_embedder_time_embedder_linear_1; 1536x1536
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 9216x1536
    condition_embedder_time_proj; 1536x4096 condition_embedder_text_embedder_linear_1; 64x1536 proj_out
            """,
            """
blocks 30: 3072x3072 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 14336x3072 ffn_net_0_proj; 3072x14336 ffn_net_2
- 1: 3072x256 condition_embedder_time_embedder_linear_1; 3072x3072
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 18432x3072
    condition_embedder_time_proj; 3072x4096 condition_embedder_text_embedder_linear_1; 192x3072 proj_out
            """,
        ),
    ),
    "LTX": (
        "LTXVideoTransformer3DModel",
        (
            """
transformer_blocks 28: 2048x2048 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 8192x2048 ff_net_0_proj; 2048x8192 ff_net_2
- 1: 2048x128 proj_in; 2048x256 time_embed_emb_timestep_embedder_linear_1; 2048x2048
    time_embed_emb_timestep_embedder_linear_2 caption_projection_linear_2; 12288x2048 time_embed_linear;
    2048x4096 caption_projection_linear_1; 128x2048 proj_out
            """,
        ),
    ),
    "LTX-2": (
        "LTX2VideoTransformer3DModel",
        (
            """
transformer_blocks 48: 4096x4096 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 2048x2048 audio_attn1_to_q audio_attn1_to_k audio_attn1_to_v
    audio_attn1_to_out_0 audio_attn2_to_q audio_attn2_to_k audio_attn2_to_v audio_attn2_to_out_0
    audio_to_video_attn_to_k audio_to_video_attn_to_v video_to_audio_attn_to_q
    video_to_audio_attn_to_out_0; 2048x4096 audio_to_video_attn_to_q video_to_audio_attn_to_k
    video_to_audio_attn_to_v; 4096x2048 audio_to_video_attn_to_out_0; 16384x4096 ff_net_0_proj; 4096x16384
    ff_net_2; 8192x2048 audio_ff_net_0_proj; 2048x8192 audio_ff_net_2
- 1: 4096x128 proj_in; 2048x128 audio_proj_in; 4096x3840 caption_projection_linear_1; 4096x4096
    caption_projection_linear_2 time_embed_emb_timestep_embedder_linear_2
    av_cross_attn_video_scale_shift_emb_timestep_embedder_linear_2
    av_cross_attn_video_a2v_gate_emb_timestep_embedder_linear_2 av_cross_attn_video_a2v_gate_linear;
    2048x3840 audio_caption_projection_linear_1; 2048x2048 audio_caption_projection_linear_2
    audio_time_embed_emb_timestep_embedder_linear_2
    av_cross_attn_audio_scale_shift_emb_timestep_embedder_linear_2
    av_cross_attn_audio_v2a_gate_emb_timestep_embedder_linear_2 av_cross_attn_audio_v2a_gate_linear;
    4096x256 time_embed_emb_timestep_embedder_linear_1
    av_cross_attn_video_scale_shift_emb_timestep_embedder_linear_1
    av_cross_attn_video_a2v_gate_emb_timestep_embedder_linear_1; 24576x4096 time_embed_linear; 2048x256
    audio_time_embed_emb_timestep_embedder_linear_1
    av_cross_attn_audio_scale_shift_emb_timestep_embedder_linear_1
    av_cross_attn_audio_v2a_gate_emb_timestep_embedder_linear_1; 12288x2048 audio_time_embed_linear;
    16384x4096 av_cross_attn_video_scale_shift_linear; 8192x2048 av_cross_attn_audio_scale_shift_linear;
    128x4096 proj_out; 128x2048 audio_proj_out
            """,
        ),
    ),
    "Anima": (
        "CosmosTransformer3DModel",
        (
            """
transformer_blocks 28: 256x2048 norm1_linear_1 norm2_linear_1 norm3_linear_1; 6144x256 norm1_linear_2
    norm2_linear_2 norm3_linear_2; 2048x2048 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q
    attn2_to_out_0; 2048x1024 attn2_to_k attn2_to_v; 8192x2048 ff_net_0_proj; 2048x8192 ff_net_2
- 1: 2048x68 patch_embed_proj; 2048x2048 time_embed_t_embedder_linear_1; 6144x2048
    time_embed_t_embedder_linear_2; 256x2048 norm_out_linear_1; 4096x256 norm_out_linear_2; 64x2048
    proj_out
            """,
        ),
    ),
    "Ovis-Image": (
        "OvisImageTransformer2DModel",
        (
            """
transformer_blocks 6: 18432x3072 norm1_linear norm1_context_linear; 3072x3072 attn_to_q attn_to_k
    attn_to_v attn_to_out_0 attn_add_q_proj attn_add_k_proj attn_add_v_proj attn_to_add_out; 24576x3072
    ff_net_0_proj ff_context_net_0_proj; 3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 27: 9216x3072 norm_linear; 24576x3072 proj_mlp; 3072x15360 proj_out; 3072x3072
    attn_to_q attn_to_k attn_to_v
- 1: 3072x256 timestep_embedder_linear_1; 3072x3072 timestep_embedder_linear_2; 3072x2048
    context_embedder; 3072x64 x_embedder; 6144x3072 norm_out_linear; 64x3072 proj_out
            """,
        ),
    ),
    "HunyuanVideo 1.5": (
        "HunyuanVideo15Transformer3DModel",
        (
            """
context_embedder_token_refiner_refiner_blocks 2: 2048x2048 attn_to_q attn_to_k attn_to_v attn_to_out_0;
    8192x2048 ff_net_0_proj; 2048x8192 ff_net_2; 4096x2048 norm_out_linear
transformer_blocks 54: 12288x2048 norm1_linear norm1_context_linear; 2048x2048 attn_to_q attn_to_k
    attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 8192x2048
    ff_net_0_proj ff_context_net_0_proj; 2048x8192 ff_net_2 ff_context_net_2
- 1: 1152x1152 image_embedder_linear_1; 2048x1152 image_embedder_linear_2; 2048x256
    context_embedder_time_text_embed_timestep_embedder_linear_1 time_embed_timestep_embedder_linear_1;
    2048x2048 context_embedder_time_text_embed_timestep_embedder_linear_2
    context_embedder_time_text_embed_text_embedder_linear_2 context_embedder_2_linear_2
    context_embedder_2_linear_3 time_embed_timestep_embedder_linear_2; 2048x3584
    context_embedder_time_text_embed_text_embedder_linear_1 context_embedder_proj_in; 2048x1472
    context_embedder_2_linear_1; 4096x2048 norm_out_linear; 32x2048 proj_out
            """,
        ),
    ),
}
