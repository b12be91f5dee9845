"""Plan interim analyses, so that judging after every batch is wrong no more often than judging once.

Judging at 5 % after every batch would pass a bad LoRA in far more than 5 % of runs. Instead the error is
spent: each interim analysis (a "look" to statisticians, and in names here) may use up what a spending
function of the images so far allows (Lan & DeMets, "Discrete sequential boundaries for clinical trials",
1983). By default that is the square of their share (Kim & DeMets, "Design and analysis of group sequential
tests based on the type I error spending rate function", 1987, with rho = 2): enough to stop early if a LoRA
is clearly good or bad, while the last analysis is hardly stricter than a single one would be. The bound of
each one follows by numerical integration (Armitage, McPherson & Rowe, "Repeated significance tests on
accumulating data", 1969), as the level at which an ordinary one-sided interval has to be taken there (Pocock,
"Group sequential methods in the design and analysis of clinical trials", 1977). So it works for every value
that has an interval.

The number of images stands for the information. Where prompts differ, more seeds of the same prompts add
less, so the analyses are more strongly correlated than assumed; by Slepian's inequality that only lowers
the error.

The integration assumes normal values, and every analysis is another chance for a bound that skewness puts too
near. So a mean spends only `SPENT` of its error: then at most 5 % of simulated runs are wrong on normal,
skewed, exponential, lognormal and heavy-tailed values (docs/decisions/0029). Shares of images have exact
intervals and may spend all of it: at most 4.3 % were wrong.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lora_checks.stats.intervals import MIN_PROMPTS

Spending = Callable[[float, float], float]  # (share of the images, whole error) -> error spent by then
SPENT = 0.35  # of the nominal error of a mean; the rest is left for what skewness adds
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_phi_bar = np.vectorize(lambda z: 0.5 * math.erfc(z / math.sqrt(2)), otypes=[np.float64])


@dataclass(frozen=True, slots=True)
class Look:
    """An interim analysis of the first ``prompts`` prompts, each with the first ``seeds`` seeds."""

    prompts: int
    seeds: int

    @property
    def images(self) -> int:
        return self.prompts * self.seeds


def plan(prompts: int, seeds: int, most: int) -> tuple[Look, ...]:
    """Plan the interim analyses of a policy.

    They come after 1/4, 3/8, 1/2, 3/4 and all of ``most`` images, so that each has a third or a half more
    images than the one before. New prompts come first, with one seed each, because images of one prompt
    resemble each other; then all prompts get one more seed at a time. The policy's number of images is always
    one of them: values that depend on the number of images are judged there.

    Args:
        prompts: The policy's prompts.
        seeds: The policy's seeds.
        most: The most images that may be generated.

    Raises:
        ValueError: The policy has more than ``most`` images.
    """
    if prompts * seeds > most:
        raise ValueError(f"{prompts} x {seeds} images are more than {most}")
    own = prompts * seeds
    halvings = max(2, int(math.log2(most / own)))  # down to a quarter, and on to the policy's own
    wanted = {most >> k for k in range(halvings + 1)} | {3 * most >> (k + 2) for k in range(halvings)}
    looks = {_attainable(prompts, images) for images in wanted | {own}}
    return tuple(sorted(looks, key=lambda look: look.images))


def _attainable(prompts: int, images: int) -> Look:
    """Return the largest analysis of at most ``images`` images that has the prompts an interval needs."""
    if images < prompts:
        return Look(min(max(images, MIN_PROMPTS), prompts), 1)
    return Look(prompts, images // prompts)


def order(names: Sequence[str], strata: Sequence[object]) -> tuple[int, ...]:
    """Return the indices in a fixed shuffled order in which every stratum grows at the same pace.

    The order follows from the names, so that it is the same for each run, process and LoRA. It is shuffled
    because prompt lists are sorted by theme, and the first quarter has to represent all.
    """
    ranks: dict[object, int] = {}
    sizes = {stratum: sum(other == stratum for other in strata) for stratum in set(strata)}
    places = []
    for i in sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest()):
        ranks[strata[i]] = ranks.get(strata[i], 0) + 1
        places.append((ranks[strata[i]] / sizes[strata[i]], i))
    return tuple(i for _, i in sorted(places, key=lambda place: place[0]))


def quadratic(share: float, error: float) -> float:
    """Spend the error as the square of the share of images (Kim & DeMets with rho = 2)."""
    return error * share**2


def levels(images: Sequence[int], error: float, spend: Spending = quadratic) -> tuple[float, ...]:
    """Return the one-sided level of each interim analysis.

    If each end of the interval is wrong with probability ``levels[j]`` at analysis j, it is wrong at any of
    them with probability ``error`` at most.

    Args:
        images: The number of images at each analysis, rising.
        error: The whole error.
        spend: The spending function.
    """
    return tuple(_tail(bound) for bound in bounds(tuple(n / images[-1] for n in images), error, spend))


@lru_cache(maxsize=64)
def bounds(shares: tuple[float, ...], error: float, spend: Spending = quadratic) -> tuple[float, ...]:
    """Return, for each analysis, the z that a standard normal path first exceeds with the chance spent there.

    Args:
        shares: The share of the information at each analysis, rising to 1.
        error: The whole error.
        spend: The spending function.
    """
    if not all(a < b for a, b in pairwise((0.0, *shares))) or not 0 < error < 0.5:
        raise ValueError(f"interim analyses after shares {shares} of the images cannot spend {error}")
    heights: list[float] = []
    spent, points, mass = 0.0, np.zeros(1), np.ones(1)  # the path starts at 0
    for i, share in enumerate(shares):
        step = math.sqrt(share - (shares[i - 1] if i else 0.0))
        may = spend(share, error) - spent
        height = _height(points, mass, step, may, math.sqrt(share))
        points, mass = _advance(points, mass, step, height, math.sqrt(share))
        spent += may
        heights.append(height / math.sqrt(share))
    return tuple(heights)


def _height(
    points: NDArray[np.float64], mass: NDArray[np.float64], step: float, may: float, sd: float
) -> float:
    """Return the height that the path exceeds with probability ``may`` after the next step, by bisection."""
    low, high = -10 * sd, 10 * sd
    for _ in range(60):
        middle = (low + high) / 2
        above = float((_phi_bar((middle - points) / step) * mass).sum())
        low, high = (middle, high) if above > may else (low, middle)
    return (low + high) / 2


def _advance(
    points: NDArray[np.float64], mass: NDArray[np.float64], step: float, height: float, sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes below ``height``, and the chance that the path is there and never exceeded a bound."""
    half = (height + 8 * sd) / 2
    nodes, weights = _NODES * half + height - half, _WEIGHTS * half
    density = np.exp(-(((nodes[:, None] - points) / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
    return nodes, weights * (density @ mass)


def _tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))
