"""The libraries that quantise a base, and their formats, by the names of their own documentation."""

from __future__ import annotations

from collections.abc import Mapping

GGUF = ".gguf"
KINDS = ("transformer", "unet")  # of networks that come as .gguf files

FORMATS: Mapping[str, tuple[str, ...]] = {
    "bitsandbytes": ("nf4", "fp4", "int8"),
    # wo: weights only. dq: the inputs of a layer are quantised as well, while it computes.
    # Its 4-bit formats are not here: PEFT applies no LoRA to them.
    "torchao": ("int8wo", "int8dq", "fp8wo", "fp8dq"),
    "quanto": ("int8", "fp8", "int4", "int2"),
    "diffusers": ("fp8",),  # layerwise casting: kept in float8_e4m3fn, cast while a layer computes
}
