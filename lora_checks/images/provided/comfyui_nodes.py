"""Recognise ComfyUI nodes that neither add nor change LoRAs.

From ComfyUI itself (nodes.py, comfy_extras/) and from popular extensions. A node that is neither listed
here nor a loader that is understood makes a picture's LoRAs unknown.
"""

from __future__ import annotations

import re

from lora_checks.images.provided.comfyui_graph import class_of, inputs_of, is_muted, linked

_MERGES = ("ModelMerge", "CLIPMerge")
_SOURCE_INPUTS = re.compile(
    r"ckpt_name|config_name|vae_name|unet_name|clip_name\d?|text_encoder\d?|model_path|model_name|type|dtype"
    r"|weight_dtype|device|clip_skip|stop_at_clip_layer|dequant_dtype|patch_dtype|patch_on_device|beta_schedule"
)
_NAMES = ("ckpt_name", "unet_name", "clip_name", "clip_name1", "model_path")
_PATCHES = re.compile(
    r"ModelSampling\w+|RescaleCFG|FreeU(?:_V2)?|CLIPSetLastLayer|PatchModelAddDownscale|HyperTile"
    r"|SelfAttentionGuidance|PerturbedAttentionGuidance|TomePatchModel|DifferentialDiffusion|ModelComputeDtype"
    r"|SkipLayerGuidance\w*|TorchCompileModel\w*|CFGNorm|CFGZeroStar|RenormCFG|Mahiro|APG|TCFG|EasyCache"
    r"|BasicGuider|CFGGuider|PathchSageAttentionKJ|VideoLinearCFGGuidance|Epsilon Scaling"
)
_CONDITIONING = re.compile(
    r"CLIPTextEncode(?:SDXL(?:Refiner)?|Flux|SD3|HunyuanDiT|Lumina2|Controlnet)?|FluxGuidance"
    r"|BNK_CLIPTextEncode(?:SDXL)?Advanced|smZ CLIPTextEncode|Conditioning(?:Combine|Concat|Average|ZeroOut)"
    r"|ConditioningSet(?:Area(?:Percentage|Strength)?|Mask|TimestepRange)|ControlNetApply(?:Advanced|SD3)?"
    r"|ControlNetInpaintingAliMamaApply|SetUnionControlNetType|unCLIPConditioning|StyleModelApply"
    r"|InpaintModelConditioning|InstructPixToPixConditioning|ReferenceLatent|FluxDisableGuidance|GLIGENTextBoxApply"
)
_PIPES = re.compile(
    r"ToBasicPipe|FromBasicPipe(?:_v2)?|easy (?:preSampling|pipeIn|pipeOut)|Pack SDXL Tuple|SetClipHooks"
)


def leaves_loras_alone(node: object) -> bool:
    kind = class_of(node)
    if is_muted(node) or is_source(node):
        return True
    return any(known.fullmatch(kind) for known in (_PATCHES, _CONDITIONING, _PIPES))


def merges(node: object) -> bool:
    return class_of(node).startswith(_MERGES)


def is_source(node: object) -> bool:
    """Tell whether the node only loads a checkpoint, a network or text encoders by file name."""
    inputs = inputs_of(node)
    known = all(
        _SOURCE_INPUTS.fullmatch(name) and (linked(value) is None or "name" in name)
        for name, value in inputs.items()
    )
    return known and any(name in inputs for name in _NAMES)
