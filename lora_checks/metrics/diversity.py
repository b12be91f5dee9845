"""Do the images differ from one another, or has the LoRA collapsed to a few?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import ANY, metric
from lora_checks.metrics.vectors import Array, cosines, two_sets, unit

INFINITY = float("inf")


@metric(extractor=ANY, against="nothing", per="set", better="higher", range=(1, INFINITY))
def vendi(x: Array) -> float:
    """(N, D) -> Vendi score (Friedman & Dieng 2023): how many different images the N images amount to.

    It is the exponential of the entropy of the eigenvalues of K/N, where K are the cosines: 1 for copies of
    one image, N for orthogonal ones; higher is more diverse. It grows with N, so compare it at equal numbers.
    """
    rows = unit(two_sets(x, x, least=1)[0])
    values = np.linalg.eigvalsh(rows @ rows.T / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


@metric(
    extractor=ANY,
    against="siblings",
    per="image",
    better="lower",
    range=(-1, 1),
    pairing="nearest",
    closer="higher",
)
def nearest_sibling(x: Array) -> NDArray[np.float64]:
    """(N, D) -> (N, N) cosine in [-1, 1] of each image to the other seeds of its prompt.

    The nearest one counts; lower is more diverse. Missing for a prompt with one seed.
    """
    return cosines(x, x)


@metric(extractor=ANY, against="nothing", per="image", better="lower", range=(-1, 1), closer="higher")
def nearest_other(x: Array) -> NDArray[np.float64]:
    """(N, D) -> (N, N) cosine in [-1, 1] of each image to the others; lower is more diverse.

    The nearest one counts. Near 1 is a near-duplicate, so with `stat: {share_at_least: 0.98}` it is the
    share of near-duplicates.
    """
    return cosines(x, x)
