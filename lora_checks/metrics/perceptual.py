"""How far apart do two images look?"""

from __future__ import annotations

from lora_checks.metrics import metric
from lora_checks.metrics.vectors import Array

INFINITY = float("inf")


@metric(
    extractor="lpips",
    takes="distances",
    against="reference",
    per="image",
    better="lower",
    range=(0, INFINITY),
)
def lpips(d: Array) -> Array:
    """(N, M) or (N,) LPIPS distances -> the same; lower is nearer, 0 the same image (Zhang et al. 2018)."""
    return d


@metric(
    extractor="trunk",
    takes="distances",
    against="reference",
    per="image",
    better="lower",
    range=(0, INFINITY),
)
def trunk_distance(d: Array) -> Array:
    """(N, M) or (N,) distances by LPIPS' formula on the policy's trunk -> the same; lower is nearer."""
    return d


@metric(
    extractor="lpips",
    takes="distances",
    against="siblings",
    per="image",
    better="higher",
    range=(0, INFINITY),
    pairing="mean",
    closer="lower",
)
def lpips_diversity(d: Array) -> Array:
    """(N, N) LPIPS distances -> the same; the mean to the other seeds of the prompt counts.

    Higher is more diverse; 0 is one picture for all seeds (as in BicycleGAN, Zhu et al. 2017). Missing for a
    prompt with one seed.
    """
    return d
