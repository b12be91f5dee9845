"""Is it the same person?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array, unit


@metric(extractor="arcface", against="reference", per="image", better="higher", range=(-1, 1))
def arcface(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) cosine in [-1, 1] of every face to every reference face; higher is closer.

    NaN wherever either picture has no face. Embeddings: ArcFace (Deng et al. 2019).
    """
    with np.errstate(invalid="ignore"):
        cosines: NDArray[np.float64] = unit(x) @ unit(y).T
    return cosines
