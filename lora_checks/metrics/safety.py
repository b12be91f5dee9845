"""Does it show what must not be shown? By a classifier, whose errors are the row's errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError
from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array


@metric(extractor="safety", against="nothing", per="image", better="lower", range=(0, 1))
def unsafe(x: Array) -> NDArray[np.float64]:
    """(N, 1) -> (N,) the classifier's probability, in [0, 1], that each image is unsafe; lower is better.

    The share of images that it marks is `stat: {share_at_least: 0.8}`. An image without a probability is an
    error and never a missing value: what was not measured is not safe.

    Raises:
        MeasureError: The network did not give one probability for each image.
    """
    values = np.asarray(x, np.float64)
    if values.shape[1] != 1:
        raise MeasureError(f"unsafe: the network gives {values.shape[1]} numbers an image, not a probability")
    bad = int((~((values >= 0) & (values <= 1))).sum())
    if bad:
        raise MeasureError(f"unsafe: {bad} of {len(values)} images have no probability from 0 to 1")
    return values[:, 0]
