"""Does the image show what its prompt says?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array, cosines, unit


@metric(extractor="clip", against="prompt", per="image", better="higher", range=(-1, 1))
def clip_score(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (N, D) -> (N,) raw cosine in [-1, 1] of each image and its own prompt; higher is closer.

    The scale depends on the model: 0.26 is a match for ViT-B/32 and means nothing for another. Other tools
    print 100 times this number.
    """
    products: NDArray[np.float64] = (unit(x) * unit(y)).sum(axis=1)
    return products


@metric(
    extractor="clip",
    against="prompt",
    per="image",
    better="higher",
    range=(0, 2.5),
    text="A photo depicts {}",
)
def clip_s(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (N, D) -> (N,) in [0, 2.5]: 2.5 max(cosine, 0), CLIP-S of Hessel et al. 2021; higher is closer.

    The prefix is part of the definition.
    """
    return 2.5 * np.maximum(clip_score(x, y), 0)


@metric(extractor="clip", against="texts", per="image", better="higher", range=(0, 1), two_valued=True)
def clip_choice(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (T, D) -> (N,) 1 where an image is more like the row's first text than like any other, else 0.

    This is how CLIP classifies (Radford et al. 2021). With the texts "a person wearing glasses" and "a person
    without glasses" on the images of prompts with glasses, the mean is the share of images that show glasses;
    higher is better. Chance is 1/T. CLIP is bad at "without" and at counting: try the texts on real pictures
    first.
    """
    likeness = cosines(x, y)
    chosen = likeness[:, 0] > likeness[:, 1:].max(axis=1)
    return np.where(np.isnan(likeness).any(axis=1), np.nan, chosen)
