"""Determine which bases a LoRA fits, from the names and shapes of its layers and from its metadata.

The widths are from the published configurations (config.json of the UNet, transformer and text encoders) of
SD 1.5, SD 2.1, SDXL 1.0, SD 3 and 3.5, FLUX.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from lora_checks.lora.layers import Layer

FAMILIES = ("SD 1.x", "SD 2.x", "SDXL", "SD3", "FLUX")
_SD = frozenset({"SD 1.x", "SD 2.x"})

# Input width of a layer -> families with that width. Other widths (pruned, tiny bases) are no evidence.
_TEXT_WIDTH = {768: {"SD 1.x"}, 1024: {"SD 2.x"}, 2048: {"SDXL"}}  # of the UNet's cross-attention
_TRANSFORMER_WIDTH = {1536: {"SD3"}, 2432: {"SD3"}, 3072: {"FLUX"}}
_ENCODER_WIDTH = {
    "text_encoder": {768: {"SD 1.x", "SDXL", "SD3", "FLUX"}, 1024: {"SD 2.x"}},
    "text_encoder_2": {1280: {"SDXL", "SD3"}, 4096: {"FLUX"}},
    "text_encoder_3": {4096: {"SD3"}},
}
# Names that only some families have. SD 1.x and 2.x have four levels, SDXL three; SDXL has more than one
# transformer block in an attention and is conditioned on the image size (add_embedding).
_NAMES = (
    ("unet", re.compile(r"add_embedding_.*|.*attentions_\d+_transformer_blocks_[1-9].*"), {"SDXL"}),
    ("unet", re.compile(r"(down|up)_blocks_3_.*"), _SD),
    ("transformer", re.compile(r"single_transformer_blocks_.*|x_embedder|.*guidance_embedder.*"), {"FLUX"}),
    ("transformer", re.compile(r"pos_embed_.*|transformer_blocks_\d+_attn2_.*"), {"SD3"}),
)
_COMPONENTS = {"unet": {"SD 1.x", "SD 2.x", "SDXL"}, "transformer": {"SD3", "FLUX"}}


def families_of(layers: Iterable[Layer]) -> tuple[str, ...]:
    """Return the families that fit every layer; () without evidence or if layers contradict each other."""
    all_layers = list(layers)
    evidence = [families for layer in all_layers for families in _evidence(layer)]
    if not evidence:
        return ()
    left = set(FAMILIES).intersection(*evidence)
    for layer in all_layers:
        left &= _COMPONENTS.get(layer.place.component, left)
    return tuple(family for family in FAMILIES if family in left)


def _evidence(layer: Layer) -> Iterator[set[str] | frozenset[str]]:
    component, target = layer.place.component, layer.place.targets[0]
    if layer.place.original in FAMILIES:
        yield {layer.place.original}
    for owner, pattern, families in _NAMES:
        if owner == component and pattern.fullmatch(target):
            yield families
    widths = _widths(component, target)
    if layer.anatomy.columns in widths:
        yield widths[layer.anatomy.columns]


def _widths(component: str, target: str) -> Mapping[int, set[str]]:
    if component == "unet":
        return _TEXT_WIDTH if target.endswith(("attn2_to_k", "attn2_to_v")) else {}
    if component == "transformer":
        inner = target.endswith(("attn_to_q", "attn_to_k", "attn_to_v", "ff_net_0_proj", "norm1_linear"))
        return _TRANSFORMER_WIDTH if inner else {}
    inner = target.endswith(("q_proj", "k_proj", "v_proj", "fc1", "_q", "_k", "_v"))
    return _ENCODER_WIDTH.get(component, {}) if inner else {}


# sd-scripts (library/sai_model_spec.py, sdxl_model_util.py, flux_utils.py), ai-toolkit (toolkit/metadata.py).
_SAID = (
    (re.compile(r"stable-diffusion-v1|sd_?v?1|sd1"), "SD 1.x"),
    (re.compile(r"stable-diffusion-v2|sd_?v?2|sd2"), "SD 2.x"),
    (re.compile(r"stable-diffusion-xl|sdxl"), "SDXL"),
    (re.compile(r"stable-diffusion-3|sd_?3"), "SD3"),
    (re.compile(r"flux-?1|flux_?1|flux"), "FLUX"),
)


def said_family(metadata: Mapping[str, str]) -> str:
    """Return the family that modelspec.architecture or ss_base_model_version names; "" if unknown."""
    for key in ("modelspec.architecture", "ss_base_model_version"):
        text = metadata.get(key, "").lower()[:100]
        for pattern, family in _SAID:
            if pattern.match(text):
                return family
    return ""
