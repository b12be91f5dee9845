"""Warn about alphas in the metadata that no loader reads and that differ from those of the layers.

``ss_network_alpha`` of sd-scripts and LyCORIS only documents the training; the alpha tensors are what counts.
finetrainers writes PEFT's settings one by one, other trainers a whole configuration as JSON. Like diffusers,
ComfyUI and sd-scripts, this package applies none of these, but it reports the difference.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from lora_checks.lora.adapters import ADAPTER_METADATA, MAX_ADAPTER
from lora_checks.lora.header import shown
from lora_checks.lora.layers import Layer
from lora_checks.lora.scaling import Strength

_KEYS = ("ss_network_alpha", "lora_alpha", "network_alpha", "alpha")
_NUMBER = r'"?(-?[0-9]{1,12}(?:\.[0-9]{1,12})?(?:e[+-]?[0-9]{1,3})?)"?'
_IN_JSON = re.compile(rf'"(?:lora|linear)_alpha"\s*:\s*{_NUMBER}', re.IGNORECASE)  # LyCORIS: linear
_IN_ARGS = re.compile(rf'"\w*alphas?"\s*:\s*{_NUMBER}', re.IGNORECASE)  # conv_alpha


def other_alphas(
    metadata: Mapping[str, str], layers: Sequence[Layer], strengths: Mapping[str, Strength]
) -> Iterator[str]:
    """Yield a sentence for each metadata entry whose alpha differs from that of the layers."""
    ranked = [layer for layer in layers if layer.anatomy.rank]
    texts = [metadata.get(key, "")[:MAX_ADAPTER] for key in ("ss_network_args", "lycoris_config")]
    args = {float(number) for text in texts for number in _IN_ARGS.findall(text)}
    for place, alpha in _stated(metadata):
        odd = [layer for layer in ranked if not _agrees(layer, strengths[layer.name], {alpha, *args})]
        if odd:
            have = strengths[odd[0].name].alpha
            has = "has no alpha, which counts as its rank" if have is None else f"has alpha {have:g}"
            yield (
                f"the metadata says alpha {alpha:g} ({shown(place)}), which no loader applies; "
                f"{len(odd)} of {len(layers)} layers differ: {shown(odd[0].name)} {has}"
            )


def _stated(metadata: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for key in _KEYS:
        text = metadata.get(key, "")[:40].strip()
        if re.fullmatch(_NUMBER, text, re.IGNORECASE):
            yield key, float(text.strip('"'))
    for key in metadata:
        if key != ADAPTER_METADATA and key.endswith(("config", "metadata", "lora", "adapter", "peft")):
            match = _IN_JSON.search(metadata[key][:MAX_ADAPTER])
            if match:
                yield key, float(match[1])


def _agrees(layer: Layer, strength: Strength, alphas: set[float]) -> bool:
    """Return whether the layer has one of ``alphas``, or that times sqrt(rank) (LyCORIS' ``rs_lora``)."""
    rank = layer.anatomy.rank or 1
    have = float(rank) if strength.alpha is None else strength.alpha
    return any(
        math.isclose(have, wanted * factor, rel_tol=2e-3)  # an alpha may be float16 or bfloat16
        for wanted in alphas
        for factor in (1.0, math.sqrt(rank))
    )
