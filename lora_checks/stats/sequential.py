"""Looking after every batch without being wrong more often: the levels at which each look judges.

Judging anew at 5 % after every batch would pass a bad LoRA in far more than 5 % of runs. The error is
spent instead: of the whole, each look may use up what a spending function of the images made so far
allows (Lan & DeMets, "Discrete sequential boundaries for clinical trials", 1983), by default the square of
their share (Kim & DeMets, "Design and analysis of group sequential tests based on the type I error spending
rate function", 1987, with rho = 2): enough early to stop where a LoRA is clearly good or bad, and the last
look is hardly stricter than a single one. The bound of each look follows by numerical integration (Armitage,
McPherson & Rowe, "Repeated significance tests on accumulating data", 1969), as the level at which an
ordinary one-sided interval has to be taken there (Pocock, "Group sequential methods in the design and
analysis of clinical trials", 1977): so it serves every value that has an interval.

Images stand for information. Where prompts differ, further seeds of the same prompts add less than that, so
that the looks hang together more closely than assumed; by Slepian's inequality the error then only falls.

The integration is for normal values, and every look is one more chance for a bound that skewness puts too
near. So a mean spends `SPENT` of its error: then at most 5 % of simulated runs are wrong on normal,
skewed, exponential, lognormal and heavy-tailed values (docs/decisions/0029). Shares of images have exact
intervals and may spend all of it: 4.3 % erred at most.
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
SPENT = 0.35  # of the error that a row of a mean states; the rest is for what skewness adds
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(96)
_phi_bar = np.vectorize(lambda z: 0.5 * math.erfc(z / math.sqrt(2)), otypes=[np.float64])


@dataclass(frozen=True, slots=True)
class Look:
    """The first ``prompts`` of the fixed order, each with the first ``seeds`` seeds."""

    prompts: int
    seeds: int

    @property
    def images(self) -> int:
        return self.prompts * self.seeds


def plan(prompts: int, seeds: int, most: int) -> tuple[Look, ...]:
    """The looks of a policy of ``prompts`` x ``seeds`` images when up to ``most`` may be made.

    After all of MAX, 3/4, 1/2, 3/8, 1/4 ..: each look has a third or a half more images than the one before.
    New prompts come first, one seed each, because images of one prompt resemble each other; then all
    prompts get one more seed at a time. The policy's own images are always one of the looks: what depends
    on the number of images is judged there. ValueError where they are more than ``most``.
    """
    if prompts * seeds > most:
        raise ValueError(f"{prompts} x {seeds} images are more than {most}")
    own = prompts * seeds
    halvings = max(2, int(math.log2(most / own)))  # down to a quarter, and on to the policy's own
    wanted = {most >> k for k in range(halvings + 1)} | {3 * most >> (k + 2) for k in range(halvings)}
    found = {_attainable(prompts, images) for images in wanted | {own}}
    return tuple(sorted(found, key=lambda look: look.images))


def _attainable(prompts: int, images: int) -> Look:
    """The largest look of at most that many images, though of no fewer prompts than an interval takes."""
    if images < prompts:
        return Look(min(max(images, MIN_PROMPTS), prompts), 1)
    return Look(prompts, images // prompts)


def order(names: Sequence[str], strata: Sequence[object]) -> tuple[int, ...]:
    """Indices in a fixed shuffled order in which every stratum grows at the same pace.

    The order follows from the names, so that each run, process and LoRA has the same one; shuffled, because
    prompt lists are sorted by theme, and the first quarter has to stand for all.
    """
    ranks: dict[object, int] = {}
    sizes = {stratum: sum(other == stratum for other in strata) for stratum in set(strata)}
    places = []
    for i in sorted(range(len(names)), key=lambda i: hashlib.sha256(names[i].encode()).digest()):
        ranks[strata[i]] = ranks.get(strata[i], 0) + 1
        places.append((ranks[strata[i]] / sizes[strata[i]], i))
    return tuple(i for _, i in sorted(places, key=lambda place: place[0]))


def quadratic(share: float, error: float) -> float:
    """Kim & DeMets with rho = 2."""
    return error * share**2


def levels(images: Sequence[int], error: float, spend: Spending = quadratic) -> tuple[float, ...]:
    """The one-sided level of each look after so many images, for a whole ``error``.

    The ends of an interval that are wrong with probability ``levels[j]`` at look j are wrong at any of the
    looks with probability ``error`` at most. ``images`` must rise.
    """
    return tuple(_tail(bound) for bound in bounds(tuple(n / images[-1] for n in images), error, spend))


@lru_cache(maxsize=64)
def bounds(shares: tuple[float, ...], error: float, spend: Spending = quadratic) -> tuple[float, ...]:
    """The z at each look that a standard normal path exceeds for the first time with what may be spent.

    ``shares`` of the information rise to 1.
    """
    if not all(a < b for a, b in pairwise((0.0, *shares))) or not 0 < error < 0.5:
        raise ValueError(f"looks after shares {shares} of the images cannot spend {error}")
    found: list[float] = []
    spent, points, mass = 0.0, np.zeros(1), np.ones(1)  # the path starts at 0
    for i, share in enumerate(shares):
        step = math.sqrt(share - (shares[i - 1] if i else 0.0))
        may = spend(share, error) - spent
        height = _height(points, mass, step, may, math.sqrt(share))
        points, mass = _advance(points, mass, step, height, math.sqrt(share))
        spent += may
        found.append(height / math.sqrt(share))
    return tuple(found)


def _height(
    points: NDArray[np.float64], mass: NDArray[np.float64], step: float, may: float, sd: float
) -> float:
    """The height that the path exceeds with probability ``may`` after the next step; bisection."""
    low, high = -10 * sd, 10 * sd
    for _ in range(60):
        middle = (low + high) / 2
        above = float((_phi_bar((middle - points) / step) * mass).sum())
        low, high = (middle, high) if above > may else (low, middle)
    return (low + high) / 2


def _advance(
    points: NDArray[np.float64], mass: NDArray[np.float64], step: float, height: float, sd: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes below ``height`` and the probability that the path is there and was never above a bound."""
    half = (height + 8 * sd) / 2
    nodes, weights = _NODES * half + height - half, _WEIGHTS * half
    density = np.exp(-(((nodes[:, None] - points) / step) ** 2) / 2) / (step * math.sqrt(2 * math.pi))
    return nodes, weights * (density @ mass)


def _tail(z: float) -> float:
    return 0.5 * math.erfc(z / math.sqrt(2))
