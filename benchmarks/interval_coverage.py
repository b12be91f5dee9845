"""Simulate how often the gate's intervals hold the truth, and what judging after every batch costs.

    python benchmarks/interval_coverage.py [--runs 4000]

The data have the shape of a policy's: prompts that differ, and images of a prompt that resemble each other
(half of the variance is between prompts). The truth is known, so a wrong interval shows. The tables of
`SHAPES` are those of docs/decisions/0029; they take a minute, and the rest two more.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import lru_cache
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from lora_checks.metrics.kernels import polynomial
from lora_checks.stats import intervals, sequential, shares
from lora_checks.stats.intervals import Interval, jackknife

Floats = NDArray[np.float64]
Drawn = tuple[Interval | None, float]  # and the truth
Draw = Callable[[np.random.Generator, int, int, int], Drawn]  # prompts, seeds, sides
RHO = 0.5  # correlation of the images of a prompt
LOGNORMAL = 0.8  # standard deviation of the logarithm


def _contaminated(share: float) -> Callable[[np.random.Generator, tuple[int, ...]], Floats]:
    """Draw prompts at 0.65, give or take 0.05, except for a share of them at 0.1; shifted to mean 0."""
    return lambda rng, size: (
        np.where(rng.random(size) < share, 0.1, rng.normal(0.65, 0.05, size)) - 0.65 + share * 0.55
    )


# How the values of prompts are spread about their mean 0. The long tails point down, as those of likeness do.
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Floats]] = {
    "normal": lambda rng, size: rng.normal(size=size),
    "skewness -1": lambda rng, size: (4 - rng.gamma(4, 1, size)) / 2,
    "exponential": lambda rng, size: 1 - rng.exponential(1, size),
    "lognormal .8": lambda rng, size: np.exp(LOGNORMAL**2 / 2) - rng.lognormal(0, LOGNORMAL, size),
    "t, 3 degrees": lambda rng, size: rng.standard_t(3, size),
    "two spreads 8:1": lambda rng, size: rng.normal(size=size) * rng.choice([1.0, 8.0], size),
    "10 % bad prompts": _contaminated(0.1),
    "5 % bad prompts": _contaminated(0.05),
}
DRAWN = tuple(SHAPES)[:6]  # without the shapes for which many draws contain no bad prompt
CAPS = {"capped": intervals.LEAN, "uncapped": np.inf, "Student's t": 0.0}


def groups(prompts: int, seeds: int) -> list[str]:
    return [f"p{i}" for i in range(prompts) for _ in range(seeds)]


def clustered(rng: np.random.Generator, prompts: int, seeds: int, skewed: bool = False) -> Floats:
    """Draw (prompts, seeds) values of mean 0 and variance 1."""
    between = (rng.gamma(4, 1, (prompts, 1)) - 4) / 2 if skewed else rng.normal(size=(prompts, 1))
    values: Floats = np.sqrt(RHO) * between + np.sqrt(1 - RHO) * rng.normal(size=(prompts, seeds))
    return values


def bounds(values: Floats, tail: float, cap: float = intervals.LEAN) -> tuple[Floats, Floats, Floats]:
    """Return `stats.mean_bounds` with another cap; 0 is Student's t."""
    with mock.patch.object(intervals, "LEAN", max(cap, 1e-9)):
        return intervals.mean_bounds(values, tail)


def held(
    shape: str, prompts: int, runs: int, cap: float = intervals.LEAN, seed: int = 0
) -> tuple[float, float]:
    """Return the shares of runs whose lower and upper one-sided 95 % bound hold the mean of ``shape``."""
    values = SHAPES[shape](np.random.default_rng([seed, prompts]), (runs, prompts))
    _, low, high = bounds(values, 1 - intervals.CONFIDENCE, cap)
    return float((low <= 0).mean()), float((high >= 0).mean())


def widening(prompts: int, cap: float = intervals.LEAN, confidence: float = intervals.CONFIDENCE) -> float:
    """Return how far below the mean the bound is, in Student's t: one prompt at 0.1, the others near 0.65."""
    values = np.append(np.random.default_rng(0).normal(0.65, 0.03, prompts - 1), 0.1)
    student = bounds(values, 1 - confidence, 0)
    mean, low, _ = bounds(values, 1 - confidence, cap)
    return float((mean - low) / (student[0] - student[1]))


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
    """Draw a LoRA that adds 0.5 to a base; prompts are equally hard for both, and a tenth lacks a value."""
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
    """Draw images a little off the distribution of the references, which stay fixed, as a policy's do."""
    x = rng.normal(size=(prompts, 1, DIMENSIONS)) * np.sqrt(RHO)
    x = x + rng.normal(size=(prompts, seeds, DIMENSIONS)) * np.sqrt(1 - RHO) + SHIFT
    x = x.reshape(-1, DIMENSIONS)
    found = jackknife(lambda keep: polynomial(x[keep], REFERENCES), groups(prompts, seeds), sides=sides)
    return found, true_kid()


def true_kid() -> float:
    """Compute, once, E k(x, x') - 2 E k(x, y) + the references' own term from a large sample."""
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
    """Return the shares of runs with the lower end above the truth, and with the upper end below it."""
    rng = np.random.default_rng(seed)
    found = np.array([_misses(*draw(rng, prompts, seeds, sides)) for _ in range(runs)])
    return float(found[:, 0].mean()), float(found[:, 1].mean())


def _misses(interval: Interval | None, truth: float) -> tuple[bool, bool]:
    if interval is None:
        raise ValueError("too few prompts for an interval")
    return interval.low > truth, interval.high < truth


def spent(
    distance: float,
    plan: tuple[int, int, int],
    runs: int,
    shape: str = "normal",
    within: float = 1,
    seed: int = 0,
) -> dict[str, float]:
    """Simulate how a LoRA ends whose true value is ``distance`` (in deviations of a prompt) above the limit.

    ``within`` is the deviation of a prompt's seeds, in deviations of the prompts' means.
    """
    rng, looks = np.random.default_rng(seed), sequential.plan(*plan)
    levels = sequential.levels([look.images for look in looks], sequential.SPENT * (1 - intervals.CONFIDENCE))
    means = SHAPES[shape](rng, (runs, plan[0])) / _deviation(shape)
    images = means[:, :, None] + within * rng.normal(size=(runs, plan[0], looks[-1].seeds))
    images = images / np.sqrt(1 + within**2) + distance
    ends, made = np.zeros(runs, dtype=int), np.full(runs, looks[-1].images)
    for look, level in zip(looks, levels, strict=True):
        _, low, high = bounds(images[:, : look.prompts, : look.seeds].mean(axis=2), level)
        made[(ends == 0) & ((low >= 0) | (high < 0))] = look.images
        ends = np.where(ends, ends, np.where(low >= 0, 1, np.where(high < 0, -1, 0)))
    return {
        "PASS": float((ends == 1).mean()),
        "FAIL": float((ends == -1).mean()),
        "images": float(made.mean()),
    }


@lru_cache
def _deviation(shape: str) -> float:
    return float(SHAPES[shape](np.random.default_rng(97), (1_000_000,)).std())


def lines_of_shapes(runs: int) -> Iterator[str]:
    """Yield the tables of docs/decisions/0029."""
    sizes = (8, 12, 16, 25, 32)
    for name, cap in CAPS.items():
        yield f"one-sided 95 % bounds, {name}, {runs} runs: lower / upper bound holds, in %"
        yield f"  {'prompts':18}" + "".join(f"{n:12}" for n in sizes)
        for shape in SHAPES:
            found = [held(shape, n, runs, cap) for n in sizes]
            yield f"  {shape:18}" + "".join(f"  {_percent(low)}{_percent(high)}" for low, high in found)
    yield "one bad prompt: distance of the lower bound, in Student's t, at 95 % / 97.5 % / 99.7 %"
    for name, cap in CAPS.items():
        rows = [[widening(n, cap, confidence) for confidence in (0.95, 0.975, 0.997)] for n in sizes]
        yield f"  {name:18}" + "".join("  " + "/".join(f"{x:.1f}" for x in row) for row in rows)
    yield f"until decided, at the limit, {runs} runs: wrong PASS / wrong FAIL, in %"
    plans = ((16, 2, 64), (25, 2, 200), (32, 1, 64), (64, 1, 64))
    yield "  prompts x seeds, MAX (seeds of a prompt alike, and as different as prompts)"
    yield f"  {'':18}" + "".join(f"  {p} x {s}, {most:<17}" for p, s, most in plans)
    for shape in DRAWN:
        found = [spent(0, plan, runs, shape, within) for plan in plans for within in (0, 1)]
        yield f"  {shape:18}" + "".join(f" {_percent(one['PASS'])}{_percent(one['FAIL'])}" for one in found)


def lines(runs: int) -> Iterator[str]:
    yield from lines_of_shapes(runs)
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
        for shape in ("normal", "skewness -1"):
            for distance in (-1.5, -0.5, 0.0, 0.5, 1.5):
                one = spent(distance, plan, runs, shape)
                yield (
                    f"  {plan[0]} x {plan[1]} MAX {plan[2]:3} {shape:11} {distance:+.1f} sd"
                    f"  {_percent(one['PASS'])} {_percent(one['FAIL'])}  {one['images']:5.1f}"
                )


def _percent(share: float) -> str:
    return f"{100 * share:5.1f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=4000)
    for line in lines(parser.parse_args().runs):
        print(line, flush=True)
