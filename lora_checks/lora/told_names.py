"""Tell a layer's component and modules from the file alone, before any base is known.

`inspect`, the families that a file fits and its warnings need this. It decides nothing: names belong to the
base, and `names` finds them there when the LoRA is applied. Where a name tells no component, it is "the
denoiser".
"""

from __future__ import annotations

from collections.abc import Iterable

from lora_checks.lora.names import is_text_encoder, text_module
from lora_checks.lora.native_names import FLUX, LDM, SD3, Native
from lora_checks.lora.place import Place

DENOISER = "denoiser"
DENOISERS = ("unet", "transformer", DENOISER)  # which of them a base has, only the base can tell
# Prefixes of diffusers' modules (models/unets/unet_2d_condition.py, transformers/transformer_flux.py,
# transformers/transformer_sd3.py), used if only the name tells the component.
_UNET = (
    "down_blocks_", "mid_block_", "up_blocks_", "conv_in", "conv_out", "conv_norm_out",
    "time_embedding_linear_", "add_embedding_",
)  # fmt: skip
_TRANSFORMER = (
    "transformer_blocks_", "single_transformer_blocks_", "time_text_embed_", "context_embedder",
)  # fmt: skip
_BLOCKS = {"FLUX": ("double_blocks_", "single_blocks_"), "SD3": ("joint_blocks_",)}
_TABLES = {"FLUX": FLUX, "SD3": SD3}


def original_of(modules: Iterable[str]) -> str:
    """Return "FLUX" or "SD3" if all block names of the file are that model's original ones, else ""."""
    flats = [module.replace(".", "_") for module in modules]
    for family, heads in _BLOCKS.items():
        blocks = [flat for flat in flats if flat.startswith(heads)]
        if blocks and all(_TABLES[family].find(flat) for flat in blocks):
            return family
    return ""


def told_place(module: str, component: str, original: str = "") -> Place:
    """Return what a layer's name tells.

    Args:
        module: The name after its prefix, as spelt in the file.
        component: What the prefix tells; "" if nothing.
        original: The file's `original_of`.
    """
    flat = module.replace(".", "_")
    if is_text_encoder(component):
        return Place(component, (text_module(flat),))
    if original and (native := _TABLES[original].find(flat)):
        return _native("transformer", native, original)
    if component in ("", "unet") and (native := LDM.find(flat)):
        return _native("unet", native, "LDM")
    component = component or _component(flat)
    flat = flat.replace("_processor_", "_")  # diffusers' old attention processors
    if component == "unet" and flat.endswith("_to_out"):  # in their names, the first of two has no index
        flat += "_0"
    return Place(component, (flat,))


def _native(component: str, native: Native, original: str) -> Place:
    return Place(component, native.targets, native.swapped, native.swapped_if_pair, original)


def _component(flat: str) -> str:
    if flat.startswith(_UNET):
        return "unet"
    return "transformer" if flat.startswith(_TRANSFORMER) else DENOISER
