"""A module's name as trainers spell it -> component and module names of diffusers, with "_" for ".".

kohya flattens names, so they cannot be turned back into dotted ones without the base; hence the base's own
names are flattened to compare. Original names of the checkpoints (LDM, BFL, SD3) are translated by the tables
of `lora_names_unet` and `lora_names_transformer`.
"""

from __future__ import annotations

from lora_checks.lora.names_transformer import transformer_module
from lora_checks.lora.names_unet import unet_module
from lora_checks.lora.place import Place

# How diffusers' own modules start (models/unets/unet_2d_condition.py, transformers/transformer_flux.py,
# transformers/transformer_sd3.py); asked where nothing but the name tells the component.
_UNET = (
    "down_blocks_", "mid_block_", "up_blocks_", "conv_in", "conv_out", "conv_norm_out",
    "time_embedding_", "add_embedding_",
)  # fmt: skip
_TRANSFORMER = (
    "transformer_blocks_", "single_transformer_blocks_", "time_text_embed_", "context_embedder",
    "x_embedder", "pos_embed_", "norm_out_", "proj_out",
)  # fmt: skip
# The text encoders' attention in diffusers' old spelling (utils/state_dict_utils.py, DIFFUSERS_OLD_TO_PEFT).
_OLD_ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out": "out_proj"}


def place(module: str, component: str) -> Place | None:
    """Where a layer goes, or None where neither the prefix nor the name tells it (``component`` is "")."""
    flat = module.replace(".", "_")
    if component == "T5" or component.startswith("text_encoder"):
        return Place(component, (_text_module(flat),))
    original = transformer_module(flat) or unet_module(flat)
    if original:
        return original
    flat = flat.replace("_processor_", "_")  # diffusers' old attention processors
    if flat.endswith("_to_out"):  # their spelling of the first of two modules
        flat += "_0"
    component = component or _component(flat)
    return Place(component, (flat,)) if component else None


def _component(flat: str) -> str:
    if flat.startswith(_UNET):
        return "unet"
    return "transformer" if flat.startswith(_TRANSFORMER) else ""


def _text_module(flat: str) -> str:
    """transformers versions differ on whether a CLIP's modules stand under ``text_model``."""
    flat = flat.removeprefix("text_model_")
    head, separator, last = flat.rpartition("_self_attn_")
    return head + separator + _OLD_ATTENTION.get(last, last)
