"""Read the LoRAs and strengths of one ComfyUI loader node.

A loader is recognised by the names of its inputs: those of ComfyUI's own loaders, rgthree-comfy,
efficiency-nodes, Easy-Use, Comfyroll, WAS, LoRA Manager and loaders that read tags in a text. If a node has
any other input (block weights, a random strength), its strengths are unknown unless they are 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lora_checks.images.provided import uses
from lora_checks.images.provided.comfyui_graph import (
    Graph,
    Inputs,
    behind,
    class_of,
    inputs_of,
    linked,
    number_behind,
)
from lora_checks.images.provided.uses import Use, called, number

_SLOT = r"_?(?P<slot>\d*)"
_NAME = re.compile(rf"lora(?:_name)?{_SLOT}|lora_?(?P<inner>\d+)_name")
_BOTH = re.compile(
    rf"(?:strength|weight|lora_strength|lora_weight|lora_wt){_SLOT}|lora_?(?P<inner>\d+)_strength"
)
_MODEL = re.compile(
    rf"(?:strength_model|lora_model_strength|model_strength|model_weight|model_str|lora_strength_model){_SLOT}"
    r"|lora_?(?P<inner>\d+)_model_strength"
)
_CLIP = re.compile(
    rf"(?:strength_clip|lora_clip_strength|clip_strength|clip_weight|clip_str|lora_strength_clip){_SLOT}"
    r"|lora_?(?P<inner>\d+)_clip_strength"
)
_SWITCH = re.compile(rf"(?:switch|toggle|on|active|enabled|enable|use_lora){_SLOT}")
_BYPASS = re.compile(rf"(?:bypass|off|disabled){_SLOT}")
_COUNTS = ("lora_count", "num_loras")
_MODES = ("input_mode", "mode")
_TAGS = re.compile(r"LoraTagLoader|LoRA Text Loader \(LoraManager\)|LoraLoaderTagsQuery")
_TAG_TEXTS = ("text", "lora_syntax")  # a loader by tags has one of these
_NEITHER = re.compile(
    r"(?:optional_)?lora_stack|model\d?|clip|prev_hooks|ckpt_name|base_ckpt_name|config_name|vae_name|clip_skip"
    r"|base_clip_skip|unet_name|clip_name\d?|weight_dtype|type|positive|negative|batch_size"
    r"|(?:positive_|negative_)?(?:token_normalization|weight_interpretation)|(?:empty_latent_)?(?:width|height)"
    r"|resolution|cnet_stack|(?:optional_)?controlnet_stack|vae(?:_override)?|model_override|clip_override"
    r"|a1111_prompt_style|PowerLoraLoaderHeaderWidget|➕ Add Lora|divider.*|category_filter|keep_loaded|loras"
)


def speaks_of_loras(node: object) -> bool:
    """Tell whether the node's class or an input mentions a LoRA."""
    kind = class_of(node)
    if "lora" in kind.lower() or _TAGS.fullmatch(kind):
        return True
    return any("lora" in name.lower() for name in inputs_of(node))


def is_hook(node: object) -> bool:
    """Tell whether the node attaches a LoRA to the conditioning, which affects network and text encoders."""
    return "hook" in class_of(node).lower()


def read(graph: Graph, node: object) -> tuple[list[Use], str]:
    """Return the node's LoRAs, also those at strength 0, and why there may be more; "" if these are all."""
    inputs = inputs_of(node)
    loras = [*_slots(graph, inputs), *_mappings(graph, inputs), *_listed(inputs), *_by_tags(graph, node)]
    strange = [name for name in inputs if not _is_known(node, name)]
    if strange:
        loras = [use if use.is_off else Use(use.name) for use in loras]
    why = f"its input '{strange[0]}' is not understood" if strange else ""
    if not loras and not _may_be_bare(node):
        return loras, why or "it names no LoRA that is understood"
    others = any("lora" in name.lower() for name in strange)
    return loras, "" if loras and all(use.is_off for use in loras) and not others else why


def _may_be_bare(node: object) -> bool:
    """Tell whether the node may have no LoRA itself: none is chosen, or it passes on a stack."""
    inputs = inputs_of(node)
    chosen = any(_NAME.fullmatch(name) or isinstance(value, dict) for name, value in inputs.items())
    stacked = "loras" in inputs or any("lora_stack" in name for name in inputs)
    return chosen or stacked or bool(_TAGS.fullmatch(class_of(node)))


def _is_known(node: object, name: str) -> bool:
    inputs = inputs_of(node)
    if isinstance(inputs[name], dict) and "lora" in inputs[name]:
        return True
    if name in _TAG_TEXTS:
        return "loras" in inputs or bool(_TAGS.fullmatch(class_of(node)))
    patterns = (_NAME, _BOTH, _MODEL, _CLIP, _SWITCH, _BYPASS, _NEITHER)
    return name in (*_COUNTS, *_MODES) or any(pattern.fullmatch(name) for pattern in patterns)


def _slots(graph: Graph, inputs: Inputs) -> Iterator[Use]:
    """Yield the LoRAs of ``lora_name``, or of ``lora_name_1``, ``lora_01``, ``lora_1_name``."""
    for key, value in inputs.items():
        match = _NAME.fullmatch(key)
        if match and not (isinstance(value, dict) and "lora" in value):
            name = _name(graph, value)
            if linked(value) is not None or name not in ("None", ""):
                yield _slot(graph, inputs, name, _slot_of(match))


def _slot_of(match: re.Match[str]) -> str:
    return (match["inner"] or match["slot"] or "").lstrip("0")


def _name(graph: Graph, value: object) -> str:
    """Return the name of a LoRA file; "" if it is unknown."""
    if isinstance(value, dict):  # with a preview, from pysssss
        value = value.get("content")
    name = behind(graph, value)
    return called(name) if isinstance(name, str) else ""


def _slot(graph: Graph, inputs: Inputs, name: str, slot: str) -> Use:
    on = _is_on(graph, inputs, slot)
    if on is not True:
        return Use(name) if on is None else Use(name, 0.0, 0.0)
    apart = _has(inputs, _MODEL, slot)
    if _has(inputs, _BOTH, slot) and (not apart or _mode(inputs) == "simple"):
        strength = _value(graph, inputs, _BOTH, slot)
        return Use(name, strength, strength)
    if not apart:
        return Use(name)
    clip = _value(graph, inputs, _CLIP, slot) if _has(inputs, _CLIP, slot) else 0.0
    return Use(name, _value(graph, inputs, _MODEL, slot), clip)


def _mode(inputs: Inputs) -> str:
    return str(next((inputs[name] for name in _MODES if name in inputs), ""))


def _is_on(graph: Graph, inputs: Inputs, slot: str) -> bool | None:
    """Tell whether a slot is on, by its switch, the node's switch and the slot count; None if unknown."""
    states = [_state(graph, name, value, slot) for name, value in inputs.items()]
    if any(state is False for state in states):
        return False
    for name in _COUNTS:
        if slot and name in inputs:
            count = number_behind(graph, inputs[name])
            states.append(None if count is None else "on")
            if count is not None and int(slot) > count:
                return False
    return None if None in states else True


def _state(graph: Graph, name: str, value: object, slot: str) -> bool | str | None:
    """Tell whether one input leaves the slot on; "on" if the input is not a switch of this slot."""
    switch, bypass = _SWITCH.fullmatch(name), _BYPASS.fullmatch(name)
    match = switch or bypass
    if not match or match["slot"].lstrip("0") not in ("", slot):
        return "on"
    stated = behind(graph, value)
    if stated is None:
        return None
    return (str(stated).lower() in ("on", "true", "enable", "enabled", "yes", "1")) is bool(switch)


def _has(inputs: Inputs, pattern: re.Pattern[str], slot: str) -> bool:
    return any((match := pattern.fullmatch(name)) and _slot_of(match) == slot for name in inputs)


def _value(graph: Graph, inputs: Inputs, pattern: re.Pattern[str], slot: str) -> float | None:
    for name, value in inputs.items():
        match = pattern.fullmatch(name)
        if match and _slot_of(match) == slot:
            return number_behind(graph, value)
    return None


def _mappings(graph: Graph, inputs: Inputs) -> Iterator[Use]:
    """Read rgthree's Power Lora Loader: ``{"on": true, "lora": "a.safetensors", "strength": 1}``."""
    for value in inputs.values():
        if isinstance(value, dict) and isinstance(value.get("lora"), str) and value["lora"] != "None":
            model = number_behind(graph, value.get("strength"))
            second = value.get("strengthTwo")
            clip = model if second is None else number_behind(graph, second)
            model, clip = (model, clip) if value.get("on", True) is not False else (0.0, 0.0)
            yield Use(called(value["lora"]), model, clip)


def _listed(inputs: Inputs) -> Iterator[Use]:
    """Read the LoRA Manager's list of ``{"name", "strength", "clipStrength", "active"}``."""
    entries: Any = inputs.get("loras")
    entries = entries.get("__value__") if isinstance(entries, Mapping) else entries
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            model = number(entry.get("strength"))
            clip = number(entry.get("clipStrength", entry.get("strength")))
            name = called(entry["name"])
            yield Use(name, model, clip) if entry.get("active") else Use(name, 0.0, 0.0)


def _by_tags(graph: Graph, node: object) -> list[Use]:
    """Read a node that loads LoRAs by the tags in a text; a tag without a strength is at 0."""
    if not _TAGS.fullmatch(class_of(node)):
        return []
    inputs = inputs_of(node)
    texts = [behind(graph, inputs[name]) for name in _TAG_TEXTS if name in inputs]
    if not all(isinstance(text, str) for text in texts):
        return [Use("")]
    return [use for text in texts for use in uses.tagged(str(text), model_first=True, default=0.0)]
