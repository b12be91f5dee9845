"""What is known of each format: its size, where it runs, and how its layers round.

A layer of weights alone (``inputs`` is "") computes with the dequantised weight in the run's number format.
Others also round the inputs of a layer to eight bits while they compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Inputs = Literal["", "int8", "fp8"]
EVERYWHERE = ("cpu", "cuda", "mps", "xpu")


@dataclass(frozen=True, slots=True)
class Format:
    """One format of one library."""

    bits: float  # of a weight, with its share of the scales
    inputs: Inputs = ""  # what the inputs of a layer are rounded to on a GPU
    devices: tuple[str, ...] = EVERYWHERE  # kinds of devices that run it


@dataclass(frozen=True, slots=True)
class Library:
    """A library that quantises."""

    package: str  # as pip installs it
    extra: str  # of this package's, that installs it
    formats: Mapping[str, Format]


# Blocks of 64 weights share a scale of 32 bits (bitsandbytes), groups of 128 one of 16 and a shift (quanto).
_BNB = Format(4.5)
LIBRARIES: Mapping[str, Library] = {
    "bitsandbytes": Library(
        "bitsandbytes", "quantized", {"nf4": _BNB, "fp4": _BNB, "int8": Format(8, inputs="int8")}
    ),
    "torchao": Library(
        "torchao",
        "quantized",
        {
            "int8wo": Format(8),
            "int8dq": Format(8, inputs="int8"),
            "fp8wo": Format(8),
            "fp8dq": Format(8, inputs="fp8", devices=("cuda",)),
        },
    ),
    "quanto": Library(
        "optimum-quanto",
        "quantized",
        {"int8": Format(8), "fp8": Format(8), "int4": Format(4.25), "int2": Format(2.25)},
    ),
    # No scales: a weight is rounded to its nearest float8_e4m3fn, which a layer casts while it computes.
    "diffusers": Library("diffusers", "quantized", {"fp8": Format(8, devices=("cpu", "cuda", "xpu"))}),
}
CASTING = "diffusers"
GGUF = "GGUF"
GGUF_PACKAGE = Library("gguf", "gguf", {})
# diffusers refuses bitsandbytes where it sees no GPU (quantizers/bitsandbytes/bnb_quantizer.py); transformers
# does not.
BNB_DENOISERS = ("cuda", "mps", "xpu")


def devices(library: str, name: str, of_diffusers: bool) -> tuple[str, ...]:
    """Return the kinds of devices that run a format.

    Args:
        library: Of `LIBRARIES`, or `GGUF`.
        name: The format.
        of_diffusers: Whether the network is diffusers' and not transformers'.
    """
    if library == GGUF:
        return EVERYWHERE
    if library == "bitsandbytes" and of_diffusers:
        return BNB_DENOISERS
    return LIBRARIES[library].formats[name].devices
