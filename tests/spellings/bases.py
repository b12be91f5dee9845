"""A tiny random denoiser of each base, and the names that its original model has for some of its layers.

The names are written out here once more, by hand: each original layer with the modules of diffusers' model
that hold its rows, in their order. Where a base's trainers use diffusers' names, both are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
from families.weights import seeded

Layers = Mapping[str, tuple[str, ...]]  # original name -> modules of the denoiser


@dataclass(frozen=True)
class Denoiser:
    """`loader` is diffusers' mixin that converts this base's LoRAs."""

    kind: str
    settings: Mapping[str, Any]
    layers: Layers
    loader: str
    native_bare: bool = False  # DiffSynth-Studio trains its own model, with the original's names

    def build(self) -> Any:
        return seeded(getattr(diffusers, self.kind)(**self.settings), 2)


def same(*names: str) -> Layers:
    return {name: (name,) for name in names}


def split(original: str, head: str, names: str) -> Layers:
    return {original: tuple(f"{head}.{name}" for name in names.split())}


SMALL: dict[str, Any] = {"num_layers": 2, "attention_head_dim": 16, "num_attention_heads": 2}
ROPE = {"axes_dims_rope": (4, 6, 6)}

FLUX: Layers = {
    **split("double_blocks.0.img_attn.qkv", "transformer_blocks.0.attn", "to_q to_k to_v"),
    **split("double_blocks.0.img_attn.proj", "transformer_blocks.0.attn", "to_out.0"),
    **split("double_blocks.1.txt_attn.qkv", "transformer_blocks.1.attn", "add_q_proj add_k_proj add_v_proj"),
    **split("double_blocks.1.txt_attn.proj", "transformer_blocks.1.attn", "to_add_out"),
    **split("double_blocks.0.img_mlp.0", "transformer_blocks.0.ff.net", "0.proj"),
    **split("double_blocks.0.txt_mlp.2", "transformer_blocks.0.ff_context.net", "2"),
    **split(
        "single_blocks.0.linear1", "single_transformer_blocks.0", "attn.to_q attn.to_k attn.to_v proj_mlp"
    ),
    **split("single_blocks.1.linear2", "single_transformer_blocks.1", "proj_out"),
}
FLUX2: Layers = {
    **{name: paths for name, paths in FLUX.items() if "_attn." in name},
    **split("double_blocks.0.img_mlp.0", "transformer_blocks.0.ff", "linear_in"),
    **split("double_blocks.0.txt_mlp.2", "transformer_blocks.0.ff_context", "linear_out"),
    **split("single_blocks.0.linear1", "single_transformer_blocks.0.attn", "to_qkv_mlp_proj"),
    **split("single_blocks.1.linear2", "single_transformer_blocks.1.attn", "to_out"),
}
FLUX2_SETTINGS = {
    **SMALL,
    "patch_size": 1,
    "in_channels": 16,
    "num_single_layers": 2,
    "joint_attention_dim": 48,
    "timestep_guidance_channels": 16,
    "mlp_ratio": 3.0,
    "axes_dims_rope": (4, 4, 4, 4),
}
WAN: Layers = {
    **split("blocks.0.self_attn.q", "blocks.0.attn1", "to_q"),
    **split("blocks.0.self_attn.o", "blocks.0.attn1", "to_out.0"),
    **split("blocks.1.cross_attn.k", "blocks.1.attn2", "to_k"),
    **split("blocks.1.cross_attn.v", "blocks.1.attn2", "to_v"),
    **split("blocks.0.ffn.0", "blocks.0.ffn.net", "0.proj"),
    **split("blocks.1.ffn.2", "blocks.1.ffn.net", "2"),
    **split("text_embedding.0", "condition_embedder.text_embedder", "linear_1"),
    **split("time_projection.1", "condition_embedder", "time_proj"),
    "head.head": ("proj_out",),
}
KREA: Layers = {
    **split("blocks.0.attn.wq", "transformer_blocks.0.attn", "to_q"),
    **split("blocks.1.attn.wv", "transformer_blocks.1.attn", "to_v"),
    **split("blocks.0.attn.wo", "transformer_blocks.0.attn", "to_out.0"),
    **split("blocks.0.attn.gate", "transformer_blocks.0.attn", "to_gate"),
    **split("blocks.1.mlp.gate", "transformer_blocks.1.ff", "gate"),
    **split("blocks.1.mlp.down", "transformer_blocks.1.ff", "down"),
    **split("txtfusion.layerwise_blocks.0.attn.wk", "text_fusion.layerwise_blocks.0.attn", "to_k"),
    **split("txtfusion.refiner_blocks.0.mlp.up", "text_fusion.refiner_blocks.0.ff", "up"),
}
QWEN = same(
    *(
        f"transformer_blocks.0.attn.{name}"
        for name in ("to_q", "to_k", "to_out.0", "add_v_proj", "to_add_out")
    ),
    "transformer_blocks.0.img_mlp.net.0.proj",
    "transformer_blocks.1.txt_mlp.net.2",
)
QWEN_SETTINGS = {
    **SMALL,
    **ROPE,
    "patch_size": 2,
    "in_channels": 16,
    "out_channels": 4,
    "joint_attention_dim": 28,
}
Z_IMAGE: Layers = {
    **split("layers.0.attention.qkv", "layers.0.attention", "to_q to_k to_v"),
    **split("layers.1.attention.out", "layers.1.attention", "to_out.0"),
    **split("noise_refiner.0.attention.qkv", "noise_refiner.0.attention", "to_q to_k to_v"),
    **same("context_refiner.0.feed_forward.w1", "layers.1.feed_forward.w2", "layers.0.adaLN_modulation.0"),
}
LUMINA: Layers = {
    **split("layers.0.attention.qkv", "layers.0.attn", "to_q to_k to_v"),
    **split("layers.1.attention.out", "layers.1.attn", "to_out.0"),
    **split("context_refiner.0.attention.qkv", "context_refiner.0.attn", "to_q to_k to_v"),
    **split("noise_refiner.0.feed_forward.w1", "noise_refiner.0.feed_forward", "linear_1"),
    **split("layers.0.feed_forward.w2", "layers.0.feed_forward", "linear_2"),
    **split("layers.1.adaLN_modulation.1", "layers.1.norm1", "linear"),
}
SANA: Layers = {
    **split("blocks.0.attn.qkv", "transformer_blocks.0.attn1", "to_q to_k to_v"),
    **split("blocks.0.attn.proj", "transformer_blocks.0.attn1", "to_out.0"),
    **split("blocks.1.cross_attn.q_linear", "transformer_blocks.1.attn2", "to_q"),
    **split("blocks.1.cross_attn.kv_linear", "transformer_blocks.1.attn2", "to_k to_v"),
    **split("blocks.1.cross_attn.proj", "transformer_blocks.1.attn2", "to_out.0"),
    **split("blocks.1.mlp.inverted_conv.conv", "transformer_blocks.1.ff", "conv_inverted"),
}
AURA: Layers = {
    **split("double_layers.0.attn.w2q", "joint_transformer_blocks.0.attn", "to_q"),
    **split("double_layers.0.attn.w1o", "joint_transformer_blocks.0.attn", "to_add_out"),
    **split("double_layers.1.mlpX.c_fc1", "joint_transformer_blocks.1.ff", "linear_1"),
    **split("double_layers.1.mlpC.c_proj", "joint_transformer_blocks.1.ff_context", "out_projection"),
    **split("single_layers.0.attn.w1k", "single_transformer_blocks.0.attn", "to_k"),
    **split("single_layers.1.mlp.c_fc2", "single_transformer_blocks.1.ff", "linear_2"),
}
HUNYUAN: Layers = {
    **split("double_blocks.0.img_attn_qkv", "transformer_blocks.0.attn", "to_q to_k to_v"),
    **split("double_blocks.0.img_attn_proj", "transformer_blocks.0.attn", "to_out.0"),
    **split("double_blocks.1.txt_attn_qkv", "transformer_blocks.1.attn", "add_q_proj add_k_proj add_v_proj"),
    **split("double_blocks.1.txt_mlp.fc1", "transformer_blocks.1.ff_context.net", "0.proj"),
    **split("double_blocks.1.img_mod.linear", "transformer_blocks.1.norm1", "linear"),
    **split(
        "single_blocks.0.linear1", "single_transformer_blocks.0", "attn.to_q attn.to_k attn.to_v proj_mlp"
    ),
    **split("single_blocks.1.linear2", "single_transformer_blocks.1", "proj_out"),
    **split(
        "txt_in.individual_token_refiner.blocks.0.self_attn_qkv",
        "context_embedder.token_refiner.refiner_blocks.0.attn",
        "to_q to_k to_v",
    ),
}
LTX: Layers = {
    **same(
        "transformer_blocks.0.attn1.to_q",
        "transformer_blocks.0.attn1.to_out.0",
        "transformer_blocks.1.attn2.to_k",
        "transformer_blocks.1.ff.net.0.proj",
    ),
    "patchify_proj": ("proj_in",),
    **split("adaln_single.linear", "time_embed", "linear"),
}
PIXART: Layers = {
    **{name: paths for name, paths in SANA.items() if "conv" not in name},
    **split("blocks.0.mlp.fc1", "transformer_blocks.0.ff.net", "0.proj"),
    **split("blocks.1.mlp.fc2", "transformer_blocks.1.ff.net", "2"),
    **split("t_embedder.mlp.0", "adaln_single.emb.timestep_embedder", "linear_1"),
    **split("y_embedder.y_proj.fc2", "caption_projection", "linear_2"),
    "t_block.1": ("adaln_single.linear",),
    "final_layer.linear": ("proj_out",),
}
IDEOGRAM: Layers = {
    **split("layers.0.attention.qkv", "layers.0.attention", "to_q to_k to_v"),
    **split("layers.1.attention.o", "layers.1.attention", "to_out.0"),
    **same("layers.0.feed_forward.w1", "layers.1.feed_forward.w2", "layers.1.adaln_modulation"),
    **same("input_proj", "llm_cond_proj", "t_embedding.mlp_in", "final_layer.linear"),
}
ERNIE = same(
    *(f"layers.0.self_attention.{name}" for name in ("to_q", "to_k", "to_v", "to_out.0")),
    *(f"layers.1.mlp.{name}" for name in ("gate_proj", "up_proj", "linear_fc2")),
    "x_embedder.proj",
    "text_proj",
    "adaLN_modulation.1",
    "final_norm.linear",
    "final_linear",
)
KANDINSKY = same(
    *(f"visual_transformer_blocks.0.cross_attention.{name}" for name in ("to_query", "to_key", "to_value")),
    "visual_transformer_blocks.1.self_attention.out_layer",
    "visual_transformer_blocks.1.feed_forward.in_layer",
    "text_transformer_blocks.0.text_modulation.out_layer",
    "visual_embeddings.in_layer",
    "out_layer.modulation.out_layer",
    "out_layer.out_layer",
)
FLUX_SETTINGS = {**SMALL, **ROPE, "patch_size": 1, "in_channels": 16, "num_single_layers": 2}

BASES: Mapping[str, Denoiser] = {
    "FLUX.2 dev": Denoiser(
        "Flux2Transformer2DModel", {**FLUX2_SETTINGS, "guidance_embeds": True}, FLUX2, "Flux2LoraLoaderMixin"
    ),
    "FLUX.2 klein": Denoiser(
        "Flux2Transformer2DModel", {**FLUX2_SETTINGS, "guidance_embeds": False}, FLUX2, "Flux2LoraLoaderMixin"
    ),
    "Wan 2.1": Denoiser(
        "WanTransformer3DModel",
        {**SMALL, "in_channels": 4, "out_channels": 4, "text_dim": 28, "freq_dim": 16, "ffn_dim": 64},
        WAN,
        "WanLoraLoaderMixin",
        native_bare=True,
    ),
    "Krea 2": Denoiser(
        "Krea2Transformer2DModel",
        {
            **SMALL,
            **ROPE,
            "in_channels": 16,
            "num_key_value_heads": 1,
            "intermediate_size": 64,
            "timestep_embed_dim": 16,
            "text_hidden_dim": 32,
            "num_text_layers": 2,
            "text_num_attention_heads": 2,
            "text_num_key_value_heads": 2,
            "text_intermediate_size": 48,
            "num_layerwise_text_blocks": 1,
            "num_refiner_text_blocks": 1,
        },
        KREA,
        "Krea2LoraLoaderMixin",
    ),
    "Qwen-Image": Denoiser("QwenImageTransformer2DModel", QWEN_SETTINGS, QWEN, "QwenImageLoraLoaderMixin"),
    "Qwen-Image-Edit": Denoiser(
        "QwenImageTransformer2DModel",
        {**QWEN_SETTINGS, "zero_cond_t": True},
        QWEN,
        "QwenImageLoraLoaderMixin",
    ),
    "Z-Image": Denoiser(
        "ZImageTransformer2DModel",
        {
            "all_patch_size": (2,),
            "all_f_patch_size": (1,),
            "in_channels": 4,
            "dim": 32,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 20,
            "axes_dims": [4, 6, 6],
            "axes_lens": [1024, 64, 64],
        },
        Z_IMAGE,
        "ZImageLoraLoaderMixin",
    ),
    "HiDream": Denoiser(
        "HiDreamImageTransformer2DModel",
        {
            **SMALL,
            "num_layers": 1,
            "num_single_layers": 1,
            "patch_size": 2,
            "in_channels": 4,
            "out_channels": 4,
            "caption_channels": [36, 52],
            "text_emb_dim": 40,
            "num_routed_experts": 2,
            "num_activated_experts": 2,
            "axes_dims_rope": (8, 4, 4),
            "max_resolution": (128, 128),
            "llama_layers": [0, 1],
        },
        same(
            "double_stream_blocks.0.block.attn1.to_q",
            "double_stream_blocks.0.block.attn1.to_out",
            "double_stream_blocks.0.block.attn1.to_k_t",
            "single_stream_blocks.0.block.attn1.to_out",
            "single_stream_blocks.0.block.attn1.to_v",
            "double_stream_blocks.0.block.ff_t.w1",
        ),
        "HiDreamImageLoraLoaderMixin",
    ),
    "Sana": Denoiser(
        "SanaTransformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_attention_heads": 4,
            "attention_head_dim": 8,
            "num_layers": 2,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 16,
            "cross_attention_dim": 32,
            "caption_channels": 40,
            "sample_size": 32,
        },
        SANA,
        "SanaLoraLoaderMixin",
    ),
    "AuraFlow": Denoiser(
        "AuraFlowTransformer2DModel",
        {
            "sample_size": 16,
            "patch_size": 2,
            "in_channels": 4,
            "num_mmdit_layers": 2,
            "num_single_dit_layers": 2,
            "attention_head_dim": 16,
            "num_attention_heads": 2,
            "joint_attention_dim": 48,
            "caption_projection_dim": 32,
            "out_channels": 4,
            "pos_embed_max_size": 256,
        },
        AURA,
        "AuraFlowLoraLoaderMixin",
    ),
    "CogView4": Denoiser(
        "CogView4Transformer2DModel",
        {
            **SMALL,
            "patch_size": 2,
            "in_channels": 4,
            "out_channels": 4,
            "text_embed_dim": 56,
            "time_embed_dim": 24,
            "condition_dim": 8,
            "pos_embed_max_size": 16,
            "sample_size": 16,
        },
        same(
            "transformer_blocks.0.attn1.to_q",
            "transformer_blocks.1.attn1.to_out.0",
            "transformer_blocks.0.ff.net.0.proj",
            "transformer_blocks.1.ff.net.2",
        ),
        "CogView4LoraLoaderMixin",
    ),
    "LTX-Video": Denoiser(
        "LTXVideoTransformer3DModel",
        {
            **SMALL,
            "in_channels": 8,
            "out_channels": 8,
            "cross_attention_dim": 32,
            "caption_channels": 24,
        },
        LTX,
        "LTXVideoLoraLoaderMixin",
    ),
    "FLUX.1 Kontext": Denoiser(
        "FluxTransformer2DModel",
        {**FLUX_SETTINGS, "joint_attention_dim": 40, "pooled_projection_dim": 24, "guidance_embeds": True},
        FLUX,
        "FluxLoraLoaderMixin",
    ),
    "Chroma": Denoiser(
        "ChromaTransformer2DModel",
        {
            **FLUX_SETTINGS,
            "joint_attention_dim": 44,
            "approximator_num_channels": 16,
            "approximator_hidden_dim": 24,
            "approximator_layers": 1,
        },
        FLUX,
        "FluxLoraLoaderMixin",
    ),
    "Lumina2": Denoiser(
        "Lumina2Transformer2DModel",
        {
            "sample_size": 16,
            "patch_size": 2,
            "in_channels": 4,
            "hidden_size": 36,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "multiple_of": 16,
            "axes_dim_rope": (6, 6, 6),
            "axes_lens": (300, 64, 64),
            "cap_feat_dim": 28,
        },
        LUMINA,
        "Lumina2LoraLoaderMixin",
    ),
    "HunyuanImage 2.1": Denoiser(
        "HunyuanImageTransformer2DModel",
        {
            **SMALL,
            "in_channels": 4,
            "out_channels": 4,
            "num_single_layers": 2,
            "num_refiner_layers": 1,
            "patch_size": (1, 1),
            "text_embed_dim": 64,
            "text_embed_2_dim": 36,
            "rope_axes_dim": (8, 8),
        },
        HUNYUAN,
        "HunyuanVideoLoraLoaderMixin",
    ),
    "ERNIE-Image": Denoiser(
        "ErnieImageTransformer2DModel",
        {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_layers": 2,
            "ffn_hidden_size": 64,
            "in_channels": 16,
            "out_channels": 16,
            "text_in_dim": 44,
            "rope_axes_dim": (4, 6, 6),
        },
        ERNIE,
        "ErnieImageLoraLoaderMixin",
    ),
    "Ideogram 4": Denoiser(
        "Ideogram4Transformer2DModel",
        {
            **SMALL,
            "in_channels": 16,
            "intermediate_size": 48,
            "adaln_dim": 12,
            "llm_features_dim": 208,
            "mrope_section": (4, 2, 2),
        },
        IDEOGRAM,
        "Ideogram4LoraLoaderMixin",
    ),
    "Kandinsky 5": Denoiser(
        "Kandinsky5Transformer3DModel",
        {
            "in_text_dim": 32,
            "in_text_dim2": 20,
            "time_dim": 16,
            "model_dim": 16,
            "ff_dim": 32,
            "num_text_blocks": 1,
            "num_visual_blocks": 2,
            "axes_dims": (4, 6, 6),
        },
        KANDINSKY,
        "KandinskyLoraLoaderMixin",
    ),
    "PixArt": Denoiser(
        "PixArtTransformer2DModel",
        {
            **SMALL,
            "cross_attention_dim": 32,
            "sample_size": 16,
            "caption_channels": 52,
            "use_additional_conditions": False,
        },
        PIXART,
        "",  # its pipelines load no LoRAs
    ),
}
