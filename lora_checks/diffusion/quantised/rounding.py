"""How far a quantised layer's own arithmetic may be from that of its dequantised weight.

| inputs of a layer | rounded to | distance from the exact output, relative | allowed |
|---|---|---|---|
| plain | the run's number format | 2^-8 in bfloat16; measured 0.0012 to 0.0038 | 4 x |
| int8 | 127 steps up to the row's largest number | that / (127 x sqrt(12) x its rms); measured 0.005 | 4 x |
| fp8 (e4m3) | 3 bits after the first | 2^-4 / sqrt(3) = 0.036; not measured | 4 x |

Measured on a CPU for each format that runs there (decision 66 has every number). Steps are uniform, so their
error is the step / sqrt(12); errors of many products are independent. A layer that computed with the weight
before its quantisation to 4 bits, 9 % away, would be far outside of what is allowed.
"""

from __future__ import annotations

from typing import Any

from lora_checks.diffusion.quantised.formats import Inputs

ALLOWED = 4  # times what is expected
FLOAT32 = 2.0**-16  # of float32's own: sums of thousands of numbers in any order
_STEPS = 127
_FP8 = 2.0**-4 / 3**0.5


def unit(dtype: Any) -> float:
    """Return what a layer's output may be away by the rounding of its number format, relative to its size."""
    import torch

    return max(FLOAT32, float(torch.finfo(dtype).eps) / 2) * ALLOWED


def of_inputs(inputs: Inputs, x: Any) -> float:
    """Return what rounding a layer's inputs may move its output by, relative to its size.

    Args:
        inputs: What they are rounded to.
        x: The inputs, (rows, columns); each row has steps of its own.
    """
    if not inputs:
        return 0.0
    if inputs == "fp8":
        return ALLOWED * _FP8
    sizes = x.square().mean(-1).sqrt()
    steps = x.abs().amax(-1) / (_STEPS * 12**0.5)
    return ALLOWED * float((steps / sizes.clamp_min(1e-30)).square().mean().sqrt())
