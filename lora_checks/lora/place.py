"""The place of a LoRA layer, as far as the file alone tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """The modules that one layer changes; the base decides when the LoRA is applied (`names.Base`)."""

    component: str  # "unet", "transformer", "text_encoder", ...; "denoiser"; "T5" until the family is known
    targets: tuple[str, ...]  # as in `records.LoraLayer`
    swapped: bool = False  # diffusers stores the two halves of the rows in the opposite order
    swapped_if_pair: bool = False  # ... but only if there are twice as many rows as columns
    original: str = ""  # model whose original names the layer uses: "LDM", "FLUX", "SD3"
