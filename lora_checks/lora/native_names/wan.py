"""Wan 2.1 and 2.2, and those that are built like it (VACE, SkyReels V2, ChronoEdit, ...).

diffusers, loaders/single_file_utils.py, convert_wan_transformer_to_diffusers. The names are those of
ai-toolkit, musubi-tuner and DiffSynth-Studio.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import Rows, Table, under

_ATTENTION: Rows = {
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "o": "to_out.0",
    "k_img": "add_k_proj",
    "v_img": "add_v_proj",
}
_BLOCK: Rows = {
    **under("self_attn", "attn1", _ATTENTION),
    **under("cross_attn", "attn2", _ATTENTION),
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}
_EMBEDDING: Rows = {"0": "linear_1", "2": "linear_2"}

WAN = Table(
    under("blocks.{}", "blocks.{}", _BLOCK),
    under("vace_blocks.{}", "vace_blocks.{}", {**_BLOCK, "before_proj": "proj_in", "after_proj": "proj_out"}),
    under("time_embedding", "condition_embedder.time_embedder", _EMBEDDING),
    under("text_embedding", "condition_embedder.text_embedder", _EMBEDDING),
    {
        "time_projection.1": "condition_embedder.time_proj",
        "head.head": "proj_out",
        "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
        "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    },
)
