"""Translate a trainer's module name into diffusers' component and module names, with "_" for ".".

kohya flattens names, and only the base can tell which underscores were dots, so the base's names are
flattened to compare them. `names_unet` and `names_transformer` translate the names of the original
checkpoints (LDM, BFL, SD3).
"""

from __future__ import annotations

from lora_checks.lora.names_transformer import transformer_module
from lora_checks.lora.names_unet import unet_module
from lora_checks.lora.place import Place

# Prefixes of diffusers' modules (models/unets/unet_2d_condition.py, transformers/transformer_flux.py,
# transformers/transformer_sd3.py), used if only the name tells the component.
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
    """Return the place of a layer; None if neither prefix (``component`` is "") nor name tells it."""
    flat = module.replace(".", "_")
    if component == "T5" or component.startswith("text_encoder"):
        return Place(component, (_text_module(flat),))
    original = transformer_module(flat) or unet_module(flat)
    if original:
        return original
    flat = flat.replace("_processor_", "_")  # diffusers' old attention processors
    if flat.endswith("_to_out"):  # in their names, the first of two modules has no index
        flat += "_0"
    component = component or _component(flat)
    return Place(component, (flat,)) if component else None


def _component(flat: str) -> str:
    if flat.startswith(_UNET):
        return "unet"
    return "transformer" if flat.startswith(_TRANSFORMER) else ""


def _text_module(flat: str) -> str:
    """Normalise a text encoder's module name; transformers versions differ in a leading ``text_model``."""
    flat = flat.removeprefix("text_model_")
    head, separator, last = flat.rpartition("_self_attn_")
    return head + separator + _OLD_ATTENTION.get(last, last)
