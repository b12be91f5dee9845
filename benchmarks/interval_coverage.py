"""How often the gate's intervals hold the truth, and what looking after every batch costs; simulated.

    python benchmarks/interval_coverage.py [--runs 2000]

The data have the shape of a policy's: prompts that differ, and images of a prompt that resemble each other
(half of the variance is between prompts). The truth is known, so that a wrong interval shows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from lora_checks import sequential, shares, stats
from lora_checks.metrics.kernels import polynomial
from lora_checks.stats import Interval, jackknife, mean_interval

Floats = NDArray[np.float64]
Drawn = tuple[Interval | None, float]  # and the truth
Draw = Callable[[np.random.Generator, int, int, int], Drawn]  # prompts, seeds, sides
RHO = 0.5  # correlation of the images of a prompt


def groups(prompts: int, seeds: int) -> list[str]:
    return [f"p{i}" for i in range(prompts) for _ in range(seeds)]


def clustered(rng: np.random.Generator, prompts: int, seeds: int, skewed: bool = False) -> Floats:
    """(prompts, seeds) of mean 0 and variance 1."""
    between = (rng.gamma(4, 1, (prompts, 1)) - 4) / 2 if skewed else rng.normal(size=(prompts, 1))
    values: Floats = np.sqrt(RHO) * between + np.sqrt(1 - RHO) * rng.normal(size=(prompts, seeds))
    return values


def mean(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2, skewed: bool = False) -> Drawn:
    values = clustered(rng, prompts, seeds, skewed).ravel()
    return jackknife(lambda keep: float(values[keep].mean()), groups(prompts, seeds), sides=sides), 0.0


def skewed_mean(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2) -> Drawn:
    return mean(rng, prompts, seeds, sides, skewed=True)


def share(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2, truth: float = 0.7) -> Drawn:
    chances = rng.beta(truth, 1 - truth, (prompts, 1))  # RHO = 0.5
    hits = rng.random((prompts, seeds)) < chances
    return shares.interval(hits.ravel(), groups(prompts, seeds), sides=sides), truth


def rare_share(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2) -> Drawn:
    return share(rng, prompts, seeds, sides, truth=0.05)


def gain(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2) -> Drawn:
    """A LoRA that adds 0.5 to a base; prompts are as hard for both, and a tenth has no value on a side."""
    hard = rng.normal(0, 2, (prompts, 1))
    base = hard + clustered(rng, prompts, seeds)
    lora = hard + clustered(rng, prompts, seeds) + 0.5
    there = (rng.random((prompts, seeds)) > 0.1).ravel()
    values = (lora - base).ravel()[there]
    names = [name for name, found in zip(groups(prompts, seeds), there, strict=True) if found]
    return jackknife(lambda keep: float(values[keep].mean()), names, sides=sides), 0.5


DIMENSIONS = 16
REFERENCES = np.random.default_rng(99).normal(0, 1, (100, DIMENSIONS))
SHIFT = 0.25


def kid(rng: np.random.Generator, prompts: int, seeds: int, sides: int = 2) -> Drawn:
    """Images a little off the references' distribution, which are held fixed, as a policy's are."""
    x = rng.normal(size=(prompts, 1, DIMENSIONS)) * np.sqrt(RHO)
    x = x + rng.normal(size=(prompts, seeds, DIMENSIONS)) * np.sqrt(1 - RHO) + SHIFT
    x = x.reshape(-1, DIMENSIONS)
    found = jackknife(lambda keep: polynomial(x[keep], REFERENCES), groups(prompts, seeds), sides=sides)
    return found, true_kid()


def true_kid() -> float:
    """E k(x, x') - 2 E k(x, y) + what the references have among themselves, by a large sample; made once."""
    if not _TRUE:
        x = np.random.default_rng(98).normal(SHIFT, 1, (4000, DIMENSIONS))
        _TRUE.append(polynomial(x, REFERENCES))
    return _TRUE[0]


_TRUE: list[float] = []
QUANTITIES: dict[str, Draw] = {
    "mean": mean,
    "mean, skewness 1": skewed_mean,
    "share 0.7": share,
    "share 0.05": rare_share,
    "paired gain": gain,
    "KID": kid,
}


def coverage(
    draw: Draw, prompts: int, seeds: int, runs: int, sides: int = 2, seed: int = 0
) -> tuple[float, float]:
    """Shares of runs in which the lower end is above the truth, and the upper end below it."""
    rng = np.random.default_rng(seed)
    found = np.array([_misses(*draw(rng, prompts, seeds, sides)) for _ in range(runs)])
    return float(found[:, 0].mean()), float(found[:, 1].mean())


def _misses(interval: Interval | None, truth: float) -> tuple[bool, bool]:
    if interval is None:
        raise ValueError("too few prompts for an interval")
    return interval.low > truth, interval.high < truth


def spent(
    distance: float, plan: tuple[int, int, int], runs: int, skewed: bool = False, seed: int = 0
) -> dict[str, float]:
    """A LoRA whose true value is ``distance`` (in deviations of a prompt) above the limit: how it ends."""
    rng, looks = np.random.default_rng(seed), sequential.plan(*plan)
    levels = sequential.levels([look.images for look in looks], sequential.SPENT * (1 - stats.CONFIDENCE))
    ends = [
        _end(clustered(rng, plan[0], looks[-1].seeds, skewed) + distance, looks, levels) for _ in range(runs)
    ]
    return {
        **{word: float(np.mean([end == word for end, _ in ends])) for word in ("PASS", "FAIL")},
        "images": float(np.mean([images for _, images in ends])),
    }


def _end(values: Floats, looks: tuple[sequential.Look, ...], levels: tuple[float, ...]) -> tuple[str, int]:
    for look, level in zip(looks, levels, strict=True):
        found = mean_interval(values[: look.prompts, : look.seeds].mean(axis=1), level)
        if found.low >= 0 or found.high < 0:
            return ("PASS" if found.low >= 0 else "FAIL"), look.images
    return "INCONCLUSIVE", looks[-1].images


def lines(runs: int) -> Iterator[str]:
    yield f"two-sided 95 % intervals, {runs} runs: below the lower end / above the upper end / inside, in %"
    for name, draw in QUANTITIES.items():
        for prompts, seeds in ((8, 4), (16, 1), (16, 2), (16, 4), (32, 2)):
            low, high = coverage(draw, prompts, seeds, runs)
            shown = " ".join(map(_percent, (low, high, 1 - low - high)))
            yield f"  {name:18} {prompts:3} x {seeds}  {shown}"
    yield f"one-sided 95 % bounds, {runs} runs: wrong lower bound / wrong upper bound, in % (nominal 5)"
    for name, draw in QUANTITIES.items():
        for prompts, seeds in ((16, 2), (16, 4), (32, 2)):
            low, high = coverage(draw, prompts, seeds, runs, sides=1)
            yield f"  {name:18} {prompts:3} x {seeds}  {_percent(low)} {_percent(high)}"
    yield f"until decided, {runs} runs: true value, PASS % / FAIL % / images of MAX"
    for plan in ((16, 2, 64), (64, 1, 64), (25, 2, 200)):
        for skewed in (False, True):
            for distance in (-1.5, -0.5, 0.0, 0.5, 1.5):
                found = spent(distance, plan, runs, skewed)
                shape = "skewed" if skewed else "normal"
                yield (
                    f"  {plan[0]} x {plan[1]} MAX {plan[2]:3} {shape} {distance:+.1f} sd"
                    f"  {_percent(found['PASS'])} {_percent(found['FAIL'])}  {found['images']:5.1f}"
                )


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=2000)
    for line in lines(parser.parse_args().runs):
        print(line, flush=True)
