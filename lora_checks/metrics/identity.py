"""Is it the same person, and is there a person at all?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array, cosines, unit

INFINITY = float("inf")


@metric(extractor="arcface", against="reference", per="image", better="higher", range=(-1, 1))
def arcface(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) cosine in [-1, 1] of each face to each reference face; higher is closer.

    NaN wherever either picture has no face. Embeddings: ArcFace (Deng et al. 2019).
    """
    return cosines(x, y)


@metric(extractor="arcface", against="reference", per="image", better="higher", range=(-1, 1))
def arcface_centroid(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N,) cosine in [-1, 1] of each face to the mean direction of the reference faces.

    Higher is closer. The mean of unit vectors is the usual template in face verification (IJB). A copied
    photo is no nearer to it than the photo itself. NaN without a face.
    """
    return cosines(x, unit(y).mean(axis=0, keepdims=True))[:, 0]


@metric(extractor="sface", against="reference", per="image", better="higher", range=(-1, 1))
def sface(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N, M) as `arcface`, of SFace's embeddings (Zhong et al. 2021); higher is closer.

    Another scale than ArcFace's: OpenCV takes 0.363 and more for the same person.
    """
    return cosines(x, y)


@metric(extractor="sface", against="reference", per="image", better="higher", range=(-1, 1))
def sface_centroid(x: Array, y: Array) -> NDArray[np.float64]:
    """(N, D), (M, D) -> (N,) as `arcface_centroid`, of SFace's embeddings; higher is closer."""
    return cosines(x, unit(y).mean(axis=0, keepdims=True))[:, 0]


@metric(extractor="face", against="nothing", per="image", better="lower", range=(0, INFINITY), takes="faces")
def faces(x: Array) -> NDArray[np.float64]:
    """(N, 1) -> (N,) faces that the detector found in each image, 0 included.

    Where a prompt asks for one person, limit it on both sides: `stat: min` with min 1, and `stat: max` with
    max 1.
    """
    return np.asarray(x[:, 0], np.float64)
