"""Krea 2.

diffusers, loaders/single_file_utils.py, convert_krea2_transformer_checkpoint_to_diffusers. The names are
those of ai-toolkit and musubi-tuner.
"""

from __future__ import annotations

from lora_checks.lora.native_names.table import Rows, Table, under

_BLOCK: Rows = {
    "attn.wq": "attn.to_q",
    "attn.wk": "attn.to_k",
    "attn.wv": "attn.to_v",
    "attn.wo": "attn.to_out.0",
    "attn.gate": "attn.to_gate",
    "mlp.gate": "ff.gate",
    "mlp.up": "ff.up",
    "mlp.down": "ff.down",
}

KREA2 = Table(
    under("blocks.{}", "transformer_blocks.{}", _BLOCK),
    under("txtfusion.layerwise_blocks.{}", "text_fusion.layerwise_blocks.{}", _BLOCK),
    under("txtfusion.refiner_blocks.{}", "text_fusion.refiner_blocks.{}", _BLOCK),
    {
        "txtfusion.projector": "text_fusion.projector",
        "first": "img_in",
        "tmlp.0": "time_embed.linear_1",
        "tmlp.2": "time_embed.linear_2",
        "tproj.1": "time_mod_proj",
        "txtmlp.1": "txt_in.linear_1",
        "txtmlp.3": "txt_in.linear_2",
        "last.linear": "final_layer.linear",
    },
)
