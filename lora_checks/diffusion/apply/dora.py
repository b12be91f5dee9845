"""DoRA (Liu et al., arXiv 2402.09353) on PEFT's LoRA layer, with its factor computed once in fp32."""

from __future__ import annotations

import importlib
from typing import Any

from lora_checks.diffusion.apply.pieces import through
from lora_checks.diffusion.quantised import weights


def become(tuner: Any, adapter: str) -> None:
    """Make an adapter of PEFT's LoRA layer a DoRA without the norms that PEFT would compute.

    PEFT computes them of the base's weight as it is stored, which of a quantised one are packed bits.
    """
    variants: Any = importlib.import_module("peft.tuners.lora.variants")
    kinds = {2: "DoraLinearVariant", 4: "DoraConv2dVariant", 5: "DoraConv3dVariant"}
    tuner.lora_variant[adapter] = getattr(variants, kinds[len(weights.shape(tuner.get_base_layer()))])()
    if "lora_magnitude_vector" not in tuner.adapter_layer_names:
        tuner.adapter_layer_names = (*tuner.adapter_layer_names, "lora_magnitude_vector")


def magnitude(factor: Any, stated: float) -> Any:
    """Return a module that replaces PEFT's DoraLinearLayer or DoraConv2dLayer.

    ``factor``: m / |W + dW| in fp32, (rows, 1, ...) or, for magnitudes of the inputs, (1, columns, ...).
    ``stated``: the layer's scaling at strength 1. A strength multiplies the whole change of the weight, as
    ComfyUI does (comfy/weight_adapter/base.py); PEFT would scale the LoRA inside the norm instead. PEFT also
    recomputes the norm in every forward pass in the base's precision, whose rounding loses most of a DoRA.
    """
    import torch

    class Magnitude(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(factor, requires_grad=False)

        def forward(
            self,
            x: torch.Tensor,
            *,
            lora_A: Any,
            lora_B: Any,
            scaling: float,
            base_layer: Any,
            base_result: torch.Tensor,
            **_: Any,
        ) -> torch.Tensor:
            channels = (-1, *(1,) * (len(weights.shape(base_layer)) - 2))
            if len(self.weight) == 1 < self.weight.shape[1]:
                by_input = self.weight.flatten().reshape(channels)
                changed = through(base_layer, x * (by_input - 1)) + stated * lora_B(lora_A(by_input * x))
            else:
                by_output = self.weight.flatten().reshape(channels)
                plain = base_result.to(x.dtype)
                if base_layer.bias is not None:
                    plain = plain - base_layer.bias.to(x.dtype).reshape(channels)
                changed = (by_output - 1) * plain + by_output * stated * lora_B(lora_A(x))
            return changed * (scaling / stated)  # type: ignore[no-any-return]

    return Magnitude()
