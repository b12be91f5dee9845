"""Random weights that every layer of a network counts with."""

from __future__ import annotations

import re
from typing import Any

import torch

LATENT = 16  # rows and columns of the latent of an image of 32 x 32 pixels


def seeded(module: Any, seed: int) -> Any:
    """Every weight anew: matrices keep the variance of what passes through them, so that all layers count."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                fan_in = weight[0].numel()
                weight.copy_(noise * (0.5 if "embedding." in name else fan_in**-0.5))
            else:
                weight.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
    return module.eval()


def attentive(module: Any, sharpness: float = 3.0) -> Any:
    """Queries and keys are larger: one token then differs from another, and a prompt from its padding."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if weight.ndim == 1 and re.search(r"(norm(_added)?_[qk]|[qk]_norm)\.weight$", name):
                weight.mul_(sharpness)
    return module
