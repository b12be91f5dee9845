"""Is it the same subject: a dog, a shoe, a building?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import ANY, metric
from lora_checks.metrics.vectors import Array, cosines


@metric(extractor="clip", against="reference", per="image", better="higher", range=(-1, 1), pairing="mean")
def clip_i(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) cosine in [-1, 1] of CLIP embeddings; higher is closer.

    CLIP-I of DreamBooth (Ruiz et al. 2023) is the mean over all pairs, which is the default pairing. It
    hardly distinguishes two subjects of one class; `dino` does.
    """
    return cosines(x, y)


@metric(extractor="dino", against="reference", per="image", better="higher", range=(-1, 1), pairing="mean")
def dino(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) cosine in [-1, 1] of DINO's class tokens; higher is closer.

    DreamBooth's DINO score (Ruiz et al. 2023) is the mean over all pairs with DINO ViT-S/16; another DINO has
    another scale.
    """
    return cosines(x, y)


@metric(extractor=ANY, against="reference", per="image", better="higher", range=(-1, 1))
def similarity(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) cosine in [-1, 1] on the network that the row names; higher is closer."""
    return cosines(x, y)
