"""Names and shapes of the modules of published denoisers, from which `families` tells what a file fits.

The first lines of a family are the modules of diffusers' class at the published configuration (config.json of
the release); the others are the original checkpoint's names, as diffusers' converters (loaders/
lora_conversion_utils.py, single_file_utils.py, scripts/convert_*.py) relate them. Names have "_" for ".".
A line is ``BLOCKS NUMBER: ROWSxCOLUMNS NAME NAME ...; ...``; "-" stands for modules outside the blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

# Family -> one description for each published size.
SHAPES: Mapping[str, tuple[str, ...]] = {
    "FLUX.1": (
        """
transformer_blocks 19: 18432x3072 norm1_linear norm1_context_linear; 3072x3072 attn_to_q attn_to_k
    attn_to_v attn_to_out_0 attn_add_q_proj attn_add_k_proj attn_add_v_proj attn_to_add_out; 12288x3072
    ff_net_0_proj ff_context_net_0_proj; 3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 38: 9216x3072 norm_linear; 12288x3072 proj_mlp; 3072x15360 proj_out; 3072x3072
    attn_to_q attn_to_k attn_to_v
- 1: 3072x256 time_text_embed_timestep_embedder_linear_1 time_text_embed_guidance_embedder_linear_1;
    3072x3072 time_text_embed_timestep_embedder_linear_2 time_text_embed_guidance_embedder_linear_2
    time_text_embed_text_embedder_linear_2; 3072x768 time_text_embed_text_embedder_linear_1; 3072x4096
    context_embedder; 3072x64 x_embedder; 6144x3072 norm_out_linear; 64x3072 proj_out; 3072x64 img_in;
    3072x4096 txt_in; 3072x256 time_in_in_layer guidance_in_in_layer; 3072x3072 time_in_out_layer
    vector_in_out_layer guidance_in_out_layer; 3072x768 vector_in_in_layer; 64x3072 final_layer_linear;
    6144x3072 final_layer_adaLN_modulation_1
double_blocks 19: 9216x3072 img_attn_qkv txt_attn_qkv processor_qkv_lora1 processor_qkv_lora2; 3072x3072
    img_attn_proj txt_attn_proj processor_proj_lora1 processor_proj_lora2; 12288x3072 img_mlp_0 txt_mlp_0;
    3072x12288 img_mlp_2 txt_mlp_2; 18432x3072 img_mod_lin txt_mod_lin
single_blocks 38: 21504x3072 linear1; 3072x15360 linear2 processor_proj; 9216x3072 modulation_lin
    processor_qkv
        """,
    ),
    "FLUX.2 dev": (
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
    norm_out_linear; 128x6144 proj_out; 36864x6144 double_stream_modulation_img_lin
    double_stream_modulation_txt_lin; 18432x6144 single_stream_modulation_lin; 6144x128 img_in; 6144x15360
    txt_in; 6144x256 time_in_in_layer; 6144x6144 time_in_out_layer; 128x6144 final_layer_linear;
    12288x6144 final_layer_adaLN_modulation_1
double_blocks 8: 18432x6144 img_attn_qkv txt_attn_qkv; 6144x6144 img_attn_proj txt_attn_proj; 36864x6144
    img_mlp_0 txt_mlp_0; 6144x18432 img_mlp_2 txt_mlp_2
single_blocks 48: 55296x6144 linear1; 6144x24576 linear2
        """,
    ),
    "FLUX.2 klein 4B": (
        """
transformer_blocks 5: 3072x3072 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 18432x3072 ff_linear_in ff_context_linear_in;
    3072x9216 ff_linear_out ff_context_linear_out
single_transformer_blocks 20: 27648x3072 attn_to_qkv_mlp_proj; 3072x12288 attn_to_out
- 1: 3072x256 time_guidance_embed_timestep_embedder_linear_1; 3072x3072
    time_guidance_embed_timestep_embedder_linear_2; 18432x3072 double_stream_modulation_img_linear
    double_stream_modulation_txt_linear; 9216x3072 single_stream_modulation_linear; 3072x128 x_embedder;
    3072x7680 context_embedder; 6144x3072 norm_out_linear; 128x3072 proj_out; 18432x3072
    double_stream_modulation_img_lin double_stream_modulation_txt_lin; 9216x3072
    single_stream_modulation_lin; 3072x128 img_in; 3072x7680 txt_in; 3072x256 time_in_in_layer; 3072x3072
    time_in_out_layer; 128x3072 final_layer_linear; 6144x3072 final_layer_adaLN_modulation_1
double_blocks 5: 9216x3072 img_attn_qkv txt_attn_qkv; 3072x3072 img_attn_proj txt_attn_proj; 18432x3072
    img_mlp_0 txt_mlp_0; 3072x9216 img_mlp_2 txt_mlp_2
single_blocks 20: 27648x3072 linear1; 3072x12288 linear2
        """,
    ),
    "FLUX.2 klein 9B": (
        """
transformer_blocks 8: 4096x4096 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 24576x4096 ff_linear_in ff_context_linear_in;
    4096x12288 ff_linear_out ff_context_linear_out
single_transformer_blocks 24: 36864x4096 attn_to_qkv_mlp_proj; 4096x16384 attn_to_out
- 1: 4096x256 time_guidance_embed_timestep_embedder_linear_1; 4096x4096
    time_guidance_embed_timestep_embedder_linear_2; 24576x4096 double_stream_modulation_img_linear
    double_stream_modulation_txt_linear; 12288x4096 single_stream_modulation_linear; 4096x128 x_embedder;
    4096x12288 context_embedder; 8192x4096 norm_out_linear; 128x4096 proj_out; 24576x4096
    double_stream_modulation_img_lin double_stream_modulation_txt_lin; 12288x4096
    single_stream_modulation_lin; 4096x128 img_in; 4096x12288 txt_in; 4096x256 time_in_in_layer; 4096x4096
    time_in_out_layer; 128x4096 final_layer_linear; 8192x4096 final_layer_adaLN_modulation_1
double_blocks 8: 12288x4096 img_attn_qkv txt_attn_qkv; 4096x4096 img_attn_proj txt_attn_proj; 24576x4096
    img_mlp_0 txt_mlp_0; 4096x12288 img_mlp_2 txt_mlp_2
single_blocks 24: 36864x4096 linear1; 4096x16384 linear2
        """,
    ),
    "Chroma": (
        """
distilled_guidance_layer_layers 5: 5120x5120 linear_1 linear_2
transformer_blocks 19: 3072x3072 attn_to_q attn_to_k attn_to_v attn_to_out_0 attn_add_q_proj
    attn_add_k_proj attn_add_v_proj attn_to_add_out; 12288x3072 ff_net_0_proj ff_context_net_0_proj;
    3072x12288 ff_net_2 ff_context_net_2
single_transformer_blocks 38: 12288x3072 proj_mlp; 3072x15360 proj_out; 3072x3072 attn_to_q attn_to_k
    attn_to_v
- 1: 5120x64 distilled_guidance_layer_in_proj; 3072x5120 distilled_guidance_layer_out_proj; 3072x4096
    context_embedder; 3072x64 x_embedder; 64x3072 proj_out; 3072x64 img_in; 3072x4096 txt_in; 64x3072
    final_layer_linear
double_blocks 19: 9216x3072 img_attn_qkv txt_attn_qkv; 3072x3072 img_attn_proj txt_attn_proj; 12288x3072
    img_mlp_0 txt_mlp_0; 3072x12288 img_mlp_2 txt_mlp_2
single_blocks 38: 21504x3072 linear1; 3072x15360 linear2
distilled_guidance_layer_layers 5: 5120x5120 in_layer out_layer
        """,
    ),
    "Qwen-Image": (
        """
transformer_blocks 60: 18432x3072 img_mod_1 txt_mod_1; 3072x3072 attn_to_q attn_to_k attn_to_v
    attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0 attn_to_add_out; 12288x3072
    img_mlp_net_0_proj txt_mlp_net_0_proj; 3072x12288 img_mlp_net_2 txt_mlp_net_2
- 1: 3072x256 time_text_embed_timestep_embedder_linear_1; 3072x3072
    time_text_embed_timestep_embedder_linear_2; 3072x64 img_in; 3072x3584 txt_in; 6144x3072
    norm_out_linear; 64x3072 proj_out
        """,
    ),
    "Z-Image": (
        """
noise_refiner 2: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2; 15360x256 adaLN_modulation_0; 11520x3840
    attention_qkv; 3840x3840 attention_out
context_refiner 2: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2; 11520x3840 attention_qkv; 3840x3840
    attention_out
layers 30: 3840x3840 attention_to_q attention_to_k attention_to_v attention_to_out_0; 10240x3840
    feed_forward_w1 feed_forward_w3; 3840x10240 feed_forward_w2; 15360x256 adaLN_modulation_0; 11520x3840
    attention_qkv; 3840x3840 attention_out
- 1: 3840x64 all_x_embedder_2-1; 64x3840 all_final_layer_2-1_linear; 3840x256
    all_final_layer_2-1_adaLN_modulation_1; 1024x256 t_embedder_mlp_0; 256x1024 t_embedder_mlp_2;
    3840x2560 cap_embedder_1
        """,
    ),
    "SD3": (
        """
transformer_blocks 24: 9216x1536 norm1_linear norm1_context_linear; 13824x1536 norm1_linear; 3072x1536
    norm1_context_linear; 1536x1536 attn_to_q attn_to_k attn_to_v attn_add_k_proj attn_add_v_proj
    attn_add_q_proj attn_to_out_0 attn_to_add_out attn2_to_q attn2_to_k attn2_to_v attn2_to_out_0;
    6144x1536 ff_net_0_proj ff_context_net_0_proj; 1536x6144 ff_net_2 ff_context_net_2
- 1: 1536x16 pos_embed_proj; 1536x256 time_text_embed_timestep_embedder_linear_1; 1536x1536
    time_text_embed_timestep_embedder_linear_2 time_text_embed_text_embedder_linear_2; 1536x2048
    time_text_embed_text_embedder_linear_1; 1536x4096 context_embedder; 3072x1536 norm_out_linear; 64x1536
    proj_out; 1536x16 x_embedder_proj; 1536x256 t_embedder_mlp_0; 1536x1536 t_embedder_mlp_2
    y_embedder_mlp_2; 1536x2048 y_embedder_mlp_0; 64x1536 final_layer_linear; 3072x1536
    final_layer_adaLN_modulation_1
joint_blocks 24: 4608x1536 x_block_attn_qkv x_block_attn2_qkv context_block_attn_qkv; 1536x1536
    x_block_attn_proj x_block_attn2_proj context_block_attn_proj; 6144x1536 x_block_mlp_fc1
    context_block_mlp_fc1; 1536x6144 x_block_mlp_fc2 context_block_mlp_fc2; 9216x1536
    x_block_adaLN_modulation_1 context_block_adaLN_modulation_1; 13824x1536 x_block_adaLN_modulation_1;
    3072x1536 context_block_adaLN_modulation_1
        """,
        """
transformer_blocks 38: 14592x2432 norm1_linear norm1_context_linear; 4864x2432 norm1_context_linear;
    2432x2432 attn_to_q attn_to_k attn_to_v attn_add_k_proj attn_add_v_proj attn_add_q_proj attn_to_out_0
    attn_to_add_out; 9728x2432 ff_net_0_proj ff_context_net_0_proj; 2432x9728 ff_net_2 ff_context_net_2
- 1: 2432x16 pos_embed_proj; 2432x256 time_text_embed_timestep_embedder_linear_1; 2432x2432
    time_text_embed_timestep_embedder_linear_2 time_text_embed_text_embedder_linear_2; 2432x2048
    time_text_embed_text_embedder_linear_1; 2432x4096 context_embedder; 4864x2432 norm_out_linear; 64x2432
    proj_out; 2432x16 x_embedder_proj; 2432x256 t_embedder_mlp_0; 2432x2432 t_embedder_mlp_2
    y_embedder_mlp_2; 2432x2048 y_embedder_mlp_0; 64x2432 final_layer_linear; 4864x2432
    final_layer_adaLN_modulation_1
joint_blocks 38: 7296x2432 x_block_attn_qkv context_block_attn_qkv; 2432x2432 x_block_attn_proj
    context_block_attn_proj; 9728x2432 x_block_mlp_fc1 context_block_mlp_fc1; 2432x9728 x_block_mlp_fc2
    context_block_mlp_fc2; 14592x2432 x_block_adaLN_modulation_1 context_block_adaLN_modulation_1;
    4864x2432 context_block_adaLN_modulation_1
        """,
    ),
    "Krea 2": (
        """
text_fusion_layerwise_blocks 2: 2560x2560 attn_to_q attn_to_k attn_to_v attn_to_gate attn_to_out_0;
    6912x2560 ff_gate ff_up; 2560x6912 ff_down
text_fusion_refiner_blocks 2: 2560x2560 attn_to_q attn_to_k attn_to_v attn_to_gate attn_to_out_0;
    6912x2560 ff_gate ff_up; 2560x6912 ff_down
transformer_blocks 28: 6144x6144 attn_to_q attn_to_gate attn_to_out_0; 1536x6144 attn_to_k attn_to_v;
    16384x6144 ff_gate ff_up; 6144x16384 ff_down
- 1: 6144x64 img_in; 6144x256 time_embed_linear_1; 6144x6144 time_embed_linear_2 txt_in_linear_2;
    36864x6144 time_mod_proj; 1x12 text_fusion_projector; 6144x2560 txt_in_linear_1; 64x6144
    final_layer_linear; 6144x64 first; 64x6144 last_linear; 6144x256 tmlp_0; 6144x6144 tmlp_2 txtmlp_3;
    36864x6144 tproj_1; 6144x2560 txtmlp_1; 1x12 txtfusion_projector
blocks 28: 6144x6144 attn_wq attn_wo attn_gate; 1536x6144 attn_wk attn_wv; 16384x6144 mlp_gate mlp_up;
    6144x16384 mlp_down
txtfusion_layerwise_blocks 2: 2560x2560 attn_wq attn_wk attn_wv attn_wo attn_gate; 6912x2560 mlp_gate
    mlp_up; 2560x6912 mlp_down
txtfusion_refiner_blocks 2: 2560x2560 attn_wq attn_wk attn_wv attn_wo attn_gate; 6912x2560 mlp_gate
    mlp_up; 2560x6912 mlp_down
        """,
    ),
    "HiDream": (
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
    "Lumina 2": (
        """
noise_refiner 2: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2; 9216x1024 norm1_linear;
    3840x2304 attention_qkv; 2304x2304 attention_out; 9216x2304 feed_forward_w1 feed_forward_w3; 2304x9216
    feed_forward_w2; 9216x1024 adaLN_modulation_1
context_refiner 2: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2; 3840x2304 attention_qkv;
    2304x2304 attention_out; 9216x2304 feed_forward_w1 feed_forward_w3; 2304x9216 feed_forward_w2
layers 26: 2304x2304 attn_to_q attn_to_out_0; 768x2304 attn_to_k attn_to_v; 9216x2304
    feed_forward_linear_1 feed_forward_linear_3; 2304x9216 feed_forward_linear_2; 9216x1024 norm1_linear;
    3840x2304 attention_qkv; 2304x2304 attention_out; 9216x2304 feed_forward_w1 feed_forward_w3; 2304x9216
    feed_forward_w2; 9216x1024 adaLN_modulation_1
- 1: 2304x64 x_embedder; 1024x256 time_caption_embed_timestep_embedder_linear_1; 1024x1024
    time_caption_embed_timestep_embedder_linear_2; 2304x2304 time_caption_embed_caption_embedder_1;
    2304x1024 norm_out_linear_1; 64x2304 norm_out_linear_2
        """,
    ),
    "AuraFlow": (
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
    "CogView4": (
        """
transformer_blocks 30: 30720x512 norm1_linear; 2560x2560 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0;
    10240x2560 ff_net_0_proj; 2560x10240 ff_net_2
- 1: 2560x64 patch_embed_proj; 2560x4096 patch_embed_text_proj; 512x2560
    time_condition_embed_timestep_embedder_linear_1; 512x512
    time_condition_embed_timestep_embedder_linear_2 time_condition_embed_condition_embedder_linear_2;
    512x1536 time_condition_embed_condition_embedder_linear_1; 5120x512 norm_out_linear; 64x2560 proj_out
        """,
    ),
    "Sana": (
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
    "PixArt": (
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
    "ERNIE-Image": (
        """
layers 24: 3072x3072 self_attention_to_q self_attention_to_k self_attention_to_v self_attention_to_out_0;
    8192x3072 mlp_gate_proj mlp_up_proj; 3072x8192 mlp_linear_fc2
- 1: 3072x128 x_embedder_proj; 3072x2560 text_proj; 3072x3072 time_embedding_linear_1
    time_embedding_linear_2; 18432x3072 adaLN_modulation_1; 6144x3072 final_norm_linear; 128x3072
    final_linear
        """,
    ),
    "Ideogram 4": (
        """
layers 34: 4608x4608 attention_to_q attention_to_k attention_to_v attention_to_out_0; 12288x4608
    feed_forward_w1 feed_forward_w3; 4608x12288 feed_forward_w2; 18432x512 adaln_modulation; 13824x4608
    attention_qkv; 4608x4608 attention_o
- 1: 4608x128 input_proj; 4608x53248 llm_cond_proj; 4608x4608 t_embedding_mlp_in t_embedding_mlp_out;
    512x4608 adaln_proj; 128x4608 final_layer_linear; 4608x512 final_layer_adaln_modulation
        """,
    ),
    "HunyuanImage 2.1": (
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
double_blocks 20: 3584x3584 img_attn_q img_attn_k img_attn_v img_attn_proj txt_attn_q txt_attn_k
    txt_attn_v txt_attn_proj; 10752x3584 img_attn_qkv txt_attn_qkv; 14336x3584 img_mlp_fc1 txt_mlp_fc1;
    3584x14336 img_mlp_fc2 txt_mlp_fc2; 21504x3584 img_mod_linear txt_mod_linear
single_blocks 40: 25088x3584 linear1; 3584x17920 linear2; 3584x3584 linear1_q linear1_k linear1_v;
    14336x3584 linear1_mlp; 10752x3584 modulation_linear
        """,
    ),
    "HunyuanVideo": (
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
double_blocks 20: 9216x3072 img_attn_qkv txt_attn_qkv; 3072x3072 img_attn_proj txt_attn_proj; 12288x3072
    img_mlp_fc1 txt_mlp_fc1; 3072x12288 img_mlp_fc2 txt_mlp_fc2; 18432x3072 img_mod_linear txt_mod_linear
single_blocks 40: 21504x3072 linear1; 3072x15360 linear2; 9216x3072 modulation_linear
        """,
    ),
    "Wan": (
        """
blocks 40: 5120x5120 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 13824x5120 ffn_net_0_proj; 5120x13824 ffn_net_2; 5120x5120 self_attn_q self_attn_k
    self_attn_v self_attn_o cross_attn_q cross_attn_k cross_attn_v cross_attn_o; 13824x5120 ffn_0;
    5120x13824 ffn_2
- 1: 5120x256 condition_embedder_time_embedder_linear_1; 5120x5120
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 30720x5120
    condition_embedder_time_proj; 5120x4096 condition_embedder_text_embedder_linear_1; 64x5120 proj_out
        """,
        """
blocks 30: 1536x1536 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 8960x1536 ffn_net_0_proj; 1536x8960 ffn_net_2; 1536x1536 self_attn_q self_attn_k
    self_attn_v self_attn_o cross_attn_q cross_attn_k cross_attn_v cross_attn_o; 8960x1536 ffn_0;
    1536x8960 ffn_2
- 1: 1536x256 condition_embedder_time_embedder_linear_1; 1536x1536
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 9216x1536
    condition_embedder_time_proj; 1536x4096 condition_embedder_text_embedder_linear_1; 64x1536 proj_out
        """,
        """
blocks 30: 3072x3072 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k attn2_to_v
    attn2_to_out_0; 14336x3072 ffn_net_0_proj; 3072x14336 ffn_net_2; 3072x3072 self_attn_q self_attn_k
    self_attn_v self_attn_o cross_attn_q cross_attn_k cross_attn_v cross_attn_o; 14336x3072 ffn_0;
    3072x14336 ffn_2
- 1: 3072x256 condition_embedder_time_embedder_linear_1; 3072x3072
    condition_embedder_time_embedder_linear_2 condition_embedder_text_embedder_linear_2; 18432x3072
    condition_embedder_time_proj; 3072x4096 condition_embedder_text_embedder_linear_1; 192x3072 proj_out
        """,
    ),
    "LTX": (
        """
transformer_blocks 28: 2048x2048 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q attn2_to_k
    attn2_to_v attn2_to_out_0; 8192x2048 ff_net_0_proj; 2048x8192 ff_net_2
- 1: 2048x128 proj_in; 2048x256 time_embed_emb_timestep_embedder_linear_1; 2048x2048
    time_embed_emb_timestep_embedder_linear_2 caption_projection_linear_2; 12288x2048 time_embed_linear;
    2048x4096 caption_projection_linear_1; 128x2048 proj_out
        """,
    ),
    "LTX-2": (
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
    "Anima": (
        """
transformer_blocks 28: 256x2048 norm1_linear_1 norm2_linear_1 norm3_linear_1; 6144x256 norm1_linear_2
    norm2_linear_2 norm3_linear_2; 2048x2048 attn1_to_q attn1_to_k attn1_to_v attn1_to_out_0 attn2_to_q
    attn2_to_out_0; 2048x1024 attn2_to_k attn2_to_v; 8192x2048 ff_net_0_proj; 2048x8192 ff_net_2
- 1: 2048x68 patch_embed_proj; 2048x2048 time_embed_t_embedder_linear_1; 6144x2048
    time_embed_t_embedder_linear_2; 256x2048 norm_out_linear_1; 4096x256 norm_out_linear_2; 64x2048
    proj_out
blocks 28: 2048x2048 self_attn_q_proj self_attn_k_proj self_attn_v_proj self_attn_output_proj
    cross_attn_q_proj cross_attn_output_proj; 2048x1024 cross_attn_k_proj cross_attn_v_proj; 8192x2048
    mlp_layer1; 2048x8192 mlp_layer2; 256x2048 adaln_modulation_self_attn_1 adaln_modulation_cross_attn_1
    adaln_modulation_mlp_1; 6144x256 adaln_modulation_self_attn_2 adaln_modulation_cross_attn_2
    adaln_modulation_mlp_2
        """,
    ),
    "HunyuanVideo 1.5": (
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
}
