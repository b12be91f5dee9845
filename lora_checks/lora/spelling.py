"""Split tensor names into a prefix, a module of the base and an ending that names the part.

The endings are those of PEFT (tuners/*/layer.py), diffusers (utils/state_dict_utils.py), kohya's sd-scripts
(networks/lora.py, oft.py), LyCORIS 4.1 (modules/*.py, `weight_list`), ai-toolkit (toolkit/models/DoRA.py) and
XLabs (x-flux, src/flux/modules/layers.py). Some prefixes are from ComfyUI (comfy/lora.py) and OneTrainer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lora_checks.lora.numbered import KIND, LAYER, PART

# Ending -> part; a longer ending goes before a shorter one.
_ENDINGS = {
    ".lora_A.weight": "down",
    ".lora_B.weight": "up",
    ".lora_B.bias": "bias",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".magnitude": "magnitude",  # ai-toolkit
    # diffusers' convert_state_dict_to_diffusers, of the UNet and of text encoders
    ".lora.down.weight": "down",
    ".lora.up.weight": "up",
    ".lora_linear_layer.down.weight": "down",
    ".lora_linear_layer.up.weight": "up",
    # kohya, LyCORIS
    ".lora_down.weight": "down",
    ".lora_up.weight": "up",
    ".lora_up.bias": "bias",  # ai-toolkit
    ".lora_mid.weight": "mid",
    ".alpha": "alpha",
    ".dora_scale": "dora_scale",
    **{f".hada_{part}": f"hada_{part}" for part in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")},
    **{f".lokr_{part}": f"lokr_{part}" for part in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t1", "t2")},
    **{f".{part}": part for part in ("diff", "diff_b", "w_norm", "b_norm")},
    **{f".{part}": part for part in ("oft_blocks", "oft_diag", "rescale")},
    **{f".{part}.weight": part for part in ("a1", "a2", "b1", "b2", "bm", "q_layer", "p_layer", "oft_R")},
    **{f".{part}": part for part in ("lambda_layer", "on_input")},
    ".oft_R.scaled_oft": "scaled_oft",  # OneTrainer
}  # fmt: skip
# The old attention processors of diffusers ("to_q_lora.down.weight") and XLabs, which numbers image and text.
_OLD = re.compile(r"(.+?)_lora([12]?)\.(down|up)\.weight")

# PEFT's parameter names contain the adapter's name ("lora_A.default.weight"). PEFT removes it on saving;
# a raw `state_dict` still has it.
_WITH_ADAPTER = re.compile(
    r"(?P<head>.+\.(?:lora_[AB]|lora_magnitude_vector|hada_\w+|lokr_\w+))\.(?P<adapter>[^.]+)(?P<tail>\.weight|\.bias)?"
)

PEFT_PREFIX = "base_model.model."
# Prefix -> kind and component; if the component is "", the base tells it.
_PREFIXES = {
    **{f"{name}.": ("diffusers", name) for name in ("unet", "transformer", "transformer_2")},
    "conditional_transformer.": ("diffusers", "transformer"),  # beside Ideogram 4's unconditional one
    **{f"text_encoder{n}.": ("diffusers", f"text_encoder{n}") for n in ("", "_2", "_3", "_4")},
    "lora_unet_": ("kohya", ""),
    "lora_te_": ("kohya", "text_encoder"),
    "lora_te1_": ("kohya", "text_encoder"),
    "lora_te2_": ("kohya", "text_encoder_2"),
    "lora_te3_": ("kohya", "T5"),
    "lora_te4_": ("kohya", "text_encoder_4"),
    "lora_transformer_": ("OneTrainer", "transformer"),
    "lycoris_": ("LyCORIS", ""),
    "diffusion_model.": ("ComfyUI", ""),
    "text_encoders.clip_l.transformer.": ("ComfyUI", "text_encoder"),
    "text_encoders.clip_g.transformer.": ("ComfyUI", "text_encoder_2"),
    "text_encoders.t5xxl.transformer.": ("ComfyUI", "T5"),
    PEFT_PREFIX: ("PEFT", ""),
}
_PREFIX = re.compile("|".join(map(re.escape, _PREFIXES)))
_LANGUAGE_MODEL = re.compile(r"text_encoders\.[a-z0-9_]+\.transformer\.")  # ComfyUI: gemma2_2b, qwen25_7b


@dataclass(frozen=True, slots=True)
class Spelt:
    """The parts of a layer's name."""

    kind: str  # "" without a prefix
    component: str  # "" if only the base tells; "T5" and "LLM": their number depends on the base
    module: str  # the rest, as spelt in the file


def split_part(name: str, names: Mapping[str, object]) -> tuple[str, str] | None:
    """Split a tensor's name into layer and part; None for a name that no trainer writes."""
    if split := _by_ending(name):
        return split
    if numbered := PART.fullmatch(name):
        return numbered[1], numbered[2]
    if left := _WITH_ADAPTER.fullmatch(name):
        return _by_ending(f"{left['head']}{left['tail'] or ''}")
    if match := _OLD.fullmatch(name):
        layer, stream, part = match.groups()
        return (f"{layer}_lora{stream}" if stream else layer), part
    layer, _, last = name.rpartition(".")
    if last == "weight" and f"{layer}.on_input" in names:  # LyCORIS modules/ia3.py
        return layer, "weight"
    return None


def adapter_in(name: str) -> str | None:
    """Return the adapter's name in a tensor name of PEFT's raw `state_dict`; None without one."""
    left = None if _by_ending(name) else _WITH_ADAPTER.fullmatch(name)
    return left["adapter"] if left else None


def _by_ending(name: str) -> tuple[str, str] | None:
    pieces = name.split(".")
    for length in (3, 2, 1):
        ending = "." + ".".join(pieces[-length:])
        if ending in _ENDINGS and len(ending) < len(name):
            return name[: -len(ending)], _ENDINGS[ending]
    return None


def split_prefix(layer: str) -> Spelt:
    """Split a layer's name into its kind, component and module."""
    if numbered := LAYER.fullmatch(layer):
        return Spelt(KIND, numbered[1], numbered[2])
    match = _PREFIX.match(layer)
    if match is None:
        other = _LANGUAGE_MODEL.match(layer)
        return Spelt("ComfyUI", "LLM", layer[other.end() :]) if other else Spelt("", "", layer)
    kind, component = _PREFIXES[match.group()]
    return Spelt(kind, component, layer[match.end() :])
