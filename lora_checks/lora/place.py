"""Where a layer of a LoRA goes on the base."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    component: str  # "unet", "transformer", "text_encoder", ...; "T5" until the family is known
    targets: tuple[str, ...]  # as in `records.LoraLayer`
    swapped: bool = False  # the halves of the rows stand in the other order in diffusers
    swapped_if_pair: bool = False  # ... but only where the rows are two times the columns
    original: str = ""  # family whose original names these are: "LDM", "FLUX", "SD3"
