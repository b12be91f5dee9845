"""A metric of your own on a network of your own: thresholds.yaml beside this file names both."""

import numpy as np

from lora_checks import metric


@metric(extractor="skin", against="reference", per="image", better="lower", range=(0, float("inf")))
def deviation(x, y):  # type: ignore[no-untyped-def]
    """Distance of each image, x (N, D), from the mean of the references, y (M, D), in their deviations."""
    return np.abs((x - y.mean(axis=0)) / y.std(axis=0)).mean(axis=1)
