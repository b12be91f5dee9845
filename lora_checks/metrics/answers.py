"""What does a vision model say about the image?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array


@metric(extractor="judge", against="nothing", per="image", better="higher", range=(0, 1), takes="answers")
def judge(x: Array) -> NDArray[np.float64]:
    """(N,) or (N, M) -> the same in [0, 1]: what a vision model's reply to the row's question is worth.

    The probability of the good answers or, of a score, the expected level; higher is better. Of a predicate
    it is VQAScore (Lin et al. 2024). (N, M) for a question about the image and each of M references. NaN
    without an answer.
    """
    return np.asarray(x, np.float64)
