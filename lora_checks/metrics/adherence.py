"""Does the image show what its prompt says?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array, unit


@metric(extractor="clip", against="prompt", per="image", better="higher", range=(-1, 1))
def clip_score(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (N, D) -> (N,) raw cosine in [-1, 1] of each image and its own prompt; higher is closer.

    Its scale belongs to the model: 0.26 is a match for ViT-B/32 and means nothing for another. Other tools
    print 100 times this number.
    """
    cosines: NDArray[np.float64] = (unit(x) * unit(y)).sum(axis=1)
    return cosines


@metric(
    extractor="clip",
    against="prompt",
    per="image",
    better="higher",
    range=(0, 2.5),
    text="A photo depicts {}",
)
def clip_s(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (N, D) -> (N,) in [0, 2.5]: 2.5 max(cosine, 0), CLIP-S of Hessel et al. 2021.

    The prefix is part of the definition.
    """
    return 2.5 * np.maximum(clip_score(x, y), 0)
