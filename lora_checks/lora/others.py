"""Recognise safetensors files that are not LoRAs of an image model, or LoRAs in an unsupported form."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from lora_checks.lora.header import Tensor, shown

ONLY = "only LoRAs are gated"
_Tensors = Mapping[str, Tensor]

_TOKEN = re.compile(r"<[^<>]{1,100}>")  # "<s1>", as cloneofsimo's lora names a trained token
_BUNDLED = re.compile(r"bundle_emb\.(.+?)\.(?:string_to_param(?:\..*)?|emb_params|clip_[lg](?:_\w+)?|t5\w*)")
_EMBEDDINGS = re.compile(
    r"(?:.*\.)?(?:emb_params|string_to_param(?:\..*)?|clip_[lg](?:_out)?|t5(?:xxl)?(?:_out)?|text_embeds?"
    r"|text_encoders?_[0-9]|learned_embeds?|token_embedding(?:\.weight)?|trainable_tokens_delta(?:\..*)?)"
)
_LAYERS = re.compile(r"lora|hada_|lokr_|:[0-9]+:(?:up|down)$")  # the last are cloneofsimo's
_SEGMENT_ANYTHING = re.compile(r"(?:w_[ab]_[0-9]+|linear_[ab]_(?:q|v)_?[0-9]+)(?:\.weight)?")
_CONTROL_NORM = re.compile(r".*\.(?:norm\.(?:key|query)_norm\.scale|attn\.norm_(?:added_)?[qk]\.weight)")
_CONTROL_INPUT = re.compile(r"(?:.*\.)?(?:img_in|x_embedder)\.lora_A\.weight")
_FLUX_1 = re.compile(
    r".*(?:double_blocks\.[0-9]+\.img_mod|single_blocks\.[0-9]+\.modulation|\.norm1\.linear).*"
)
_LANGUAGE = re.compile(
    r"(?:base_model\.model\.)?(?:(?:model\.|language_model\.|text_model\.|thinker\.)*layers\.[0-9]+\."
    r"(?:self_attn|linear_attn|block_sparse_moe|mlp\.(?:gate|up|down)_proj)\.|(?:transformer\.)?h\.[0-9]+\.(?:attn|mlp|self_attention)\."
    r"|gpt_neox\.|(?:bert|roberta|deberta|vit|dinov2|wav2vec2)\.|model\.(?:encoder|decoder)\.layers\.[0-9]+\."
    r"|(?:model\.)?visual\.blocks\.|(?:encoder|decoder)\.block\.[0-9]+\.layer\.|transformer\.encoder\.layers\.)"
)
_TRAILING = re.compile(r"lora_(?:unet|te\d?|transformer)_.*_\.(?:lora_(?:down|up)\.weight|alpha)")
_PARTS = {
    "lora_controlnet": "a Control-LoRA, which adapts a ControlNet and not the base",
    ".set_weight": "a ComfyUI patch that replaces whole weights (set_weight)",
    ".reshape_weight": "a ComfyUI patch that reshapes the base's weights (reshape_weight)",
}


def other_kind(tensors: _Tensors) -> str | None:
    """Return a sentence that says what the file is and refuses it; None for LoRAs and unknown files."""
    checks: tuple[Callable[[_Tensors], str | None], ...] = (
        _bundled,
        _embedding,
        _control,
        _by_part,
        _segment_anything,
        _language,
        _trailing,
    )
    return next((sentence for check in checks if (sentence := check(tensors))), None)


def _tokens(tensors: _Tensors) -> list[str]:
    found = [name for name in tensors if _TOKEN.fullmatch(name)]
    bundled = (_BUNDLED.fullmatch(name) for name in tensors)
    return list(dict.fromkeys([*found, *(match[1] for match in bundled if match)]))


def _list(names: list[str]) -> str:
    return " and ".join(map(shown, names[:2])) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def _bundled(tensors: _Tensors) -> str | None:
    """Recognise LoRAs of kohya and OneTrainer that bundle the embeddings of pivotal tuning."""
    name = next((name for name in tensors if name.startswith("bundle_emb.")), None)
    if name is None:
        return None
    tokens = _tokens(tensors)
    of = f" of {_list(tokens)}" if tokens else ""
    what = f"is a LoRA bundled with a textual inversion{of} (bundle_emb), which is not loaded"
    return f"{what} ({shown(name)}); {ONLY}"


def _embedding(tensors: _Tensors) -> str | None:
    """Recognise embeddings: a few vectors per token, alone in the file or next to a LoRA's layers."""
    rows = [name for name in tensors if _EMBEDDINGS.fullmatch(name) or _TOKEN.fullmatch(name)]
    if not rows and len(tensors) == 1 and all(_is_vector(tensor) for tensor in tensors.values()):
        rows = [name for name in tensors if "." not in name]  # diffusers' learned_embeds: {token: vector}
    if rows and len(rows) == len(tensors):
        return f"is a textual inversion ({_list(rows)}); {ONLY}"
    if rows and any(_LAYERS.search(name) for name in tensors):
        return (
            f"is a LoRA with trained embeddings ({_list(rows)}), which are not loaded, so that their token "
            "would mean nothing; train it without them"
        )
    return None


def _is_vector(tensor: Tensor) -> bool:
    width = tensor.shape[-1] if tensor.shape else 0
    return len(tensor.shape) in (1, 2) and width >= 64 and math.prod(tensor.shape) <= 128 * width


def _control(tensors: _Tensors) -> str | None:
    """Recognise BFL's depth and canny LoRAs, and those of diffusers' train_control_lora_flux.py."""
    if not any("lora_" in name for name in tensors):
        return None
    name = _first(tensors, _CONTROL_NORM)
    if name is None and _first(tensors, _FLUX_1):
        wide = (name for name, tensor in tensors.items() if tensor.shape[-1:] == (128,))
        name = next((name for name in wide if _CONTROL_INPUT.fullmatch(name)), None)
    if name is None:
        return None
    return (
        f"is a FLUX control LoRA ({shown(name)}), which takes a control picture beside the prompt; "
        "only LoRAs that are used with a prompt alone are gated"
    )


def _by_part(tensors: _Tensors) -> str | None:
    for name in tensors:
        for sign, what in _PARTS.items():
            if sign in name:
                return f"is {what} ({shown(name)}); {ONLY}"
    return None


def _segment_anything(tensors: _Tensors) -> str | None:
    name = _first(tensors, _SEGMENT_ANYTHING)
    return (
        name
        and f"is a LoRA of Segment Anything ({shown(name)}), which makes masks; only image models' are gated"
    )


def _language(tensors: _Tensors) -> str | None:
    if any(".self_attention.to_" in name for name in tensors):  # ERNIE-Image has a language model's MLPs
        return None
    name = next((name for name in tensors if "lora" in name.lower() and _LANGUAGE.match(name)), None)
    return (
        name
        and f"is a LoRA of a language or vision model ({shown(name)}); only those of image models are gated"
    )


def _trailing(tensors: _Tensors) -> str | None:
    name = _first(tensors, _TRAILING)
    return name and (
        f"has names that end in an underscore ({shown(name)}), as TheLastBen's FLUX trainer writes them; "
        "no module is called so: take the last underscore off and save it anew"
    )


def embeddings_beside(path: Path) -> list[str]:
    """Warn about a file of trained embeddings in the same folder, as diffusers' advanced scripts name it."""
    names = (f"{path.stem}_emb.safetensors", "learned_embeds.safetensors")
    return [
        f"{name} lies beside it: a trained embedding, which is not loaded, so that its token means nothing"
        for name in names
        if path.name != name and path.with_name(name).is_file()
    ]


def _first(tensors: _Tensors, pattern: re.Pattern[str]) -> str | None:
    return next((name for name in tensors if pattern.fullmatch(name)), None)
