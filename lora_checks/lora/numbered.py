"""cloneofsimo's lora: layers that are numbered in the order in which their modules stand in the base.

`save_safeloras` (lora_diffusion/lora.py) writes ``unet:0:up``, ``unet:0:down`` and so on, and in the metadata
the classes whose linear layers it counted (``unet``: ``["CrossAttention", "Attention", "GEGLU"]``). Its
loader has no alpha: the strength is 1. Which modules these are, only the base tells
(`diffusion.apply.numbers`).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from lora_checks.core.errors import LoraFileError
from lora_checks.lora.header import shown

KIND = "cloneofsimo"
PART = re.compile(r"((?:unet|text_encoder):[0-9]{1,5}):(up|down)")
LAYER = re.compile(r"(unet|text_encoder):([0-9]{1,5})")
# Names that these classes had, or have in other versions of transformers -> the name today.
CLASSES = {
    "unet": {"CrossAttention": "Attention", "Attention": "Attention", "GEGLU": "GEGLU"},
    "text_encoder": dict.fromkeys(
        ("CLIPAttention", "CLIPSdpaAttention", "CLIPFlashAttention2"), "CLIPAttention"
    ),
}
_FORMAT = "is in the format of cloneofsimo's lora, which numbers the layers instead of naming them"
_ANEW = "write it anew with names: diffusers' (unet.) or kohya's (lora_unet_)"
MAX_TEXT = 10_000  # characters of a list of classes


def numbered_of(layers: Iterable[str], metadata: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the classes whose layers are numbered, by component; {} for a file that names its layers.

    Raises:
        LoraFileError: A number is missing, or the order cannot be known.
    """
    numbers: dict[str, set[int]] = defaultdict(set)
    for layer in layers:
        if match := LAYER.fullmatch(layer):
            numbers[match[1]].add(int(match[2]))
    for component, seen in numbers.items():
        if missing := set(range(len(seen))) - seen:
            raise LoraFileError(
                f"numbers its layers, as cloneofsimo's lora does, and has no '{component}:{min(missing)}' "
                f"before '{component}:{max(seen)}': those after it would be on other modules; export it again"
            )
    return {component: _classes(component, metadata.get(component, "")) for component in numbers}


def _classes(component: str, text: str) -> tuple[str, ...]:
    try:
        classes = json.loads(text) if len(text) <= MAX_TEXT else None
    except (ValueError, RecursionError):
        classes = None
    if not isinstance(classes, list) or not classes or not all(isinstance(name, str) for name in classes):
        raise LoraFileError(
            f"{_FORMAT}, and its metadata does not say of which modules ('{component}'); {_ANEW}"
        )
    known = CLASSES[component]
    other = next((name for name in classes if name not in known), None)
    if other:
        raise LoraFileError(
            f"{_FORMAT}, and was trained on modules of class {shown(other)}, of unknown order; {_ANEW}"
        )
    return tuple(sorted({known[name] for name in classes}))
