"""Tabulate the true value that a LoRA needs to pass rows with `rule: bound`, by the number of prompts.

    OMP_NUM_THREADS=1 python benchmarks/power.py [--draws 20000] [--runs 200]

It prints three tables in Markdown, computed with the gate's own intervals: how far inside its limit a true
mean must be, and how often a LoRA at the value that the report names really passes; how small a true share
must be; and how often a mean at its limit passes because the failing prompts were not drawn. Seeds are fixed;
it takes half a minute of one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.records import Measurement, Threshold
from lora_checks.stats import intervals, power
from lora_checks.stats.intervals import CONFIDENCE

Floats = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Floats]
PROMPTS = (12, 16, 25, 32, 64, 128)
# Values of prompts with mean 0 and spread 1; more is better, and long tails point to the bad side.
SHAPES: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewness -1": lambda rng, shape: (4 - rng.gamma(4, size=shape)) / 2,
    "exponential": lambda rng, shape: 1 - rng.exponential(size=shape),
}
LIMITS = (0.05, 0.1, 0.2, 0.3)  # of a share
FAILING = (0.03, 0.05, 0.1)  # shares of prompts that are at 0.1 while the others are around 0.65


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--draws", type=int, default=20000)
    parser.add_argument("--runs", type=int, default=200)
    options = parser.parse_args()
    for table in (means(options.draws, options.runs), tails(), unseen(options.draws)):
        print("\n".join(table), end="\n\n", flush=True)


def means(draws: int, runs: int) -> Iterator[str]:
    yield "| prompt values | " + " | ".join(map(str, PROMPTS)) + " |"
    yield "|---|" + "---|" * len(PROMPTS)
    for name, draw in SHAPES.items():
        cells = [_mean(draw, prompts, draws, runs) for prompts in PROMPTS]
        yield f"| {name} | {' | '.join(cells)} |"


def _mean(draw: Draw, prompts: int, draws: int, runs: int) -> str:
    """Return what passes in 90 and 99 % of runs, in spreads of a prompt, and how often those values pass."""
    rng = np.random.default_rng(prompts)
    lows = lower(draw(rng, (draws, prompts)))
    parts = []
    for chance in power.CHANCES:
        named = [_named(draw(rng, (1, prompts))[0], chance) for _ in range(runs)]
        kept = np.mean([np.mean(lows + least >= 0) for least in named])
        parts.append(f"{-np.quantile(lows, 1 - chance):.2f} ({100 * kept:.0f})")
    return ", ".join(parts)


def _named(values: Floats, chance: float) -> float:
    """Return the true value that the report of one run names for a limit of 0."""
    needed = power.need(_measured(values), Threshold("row", "m", "", min=0.0, rule="bound"), chance)
    assert needed is not None
    assert needed.least is not None
    return needed.least


def _measured(values: Floats) -> Measurement:
    images = tuple((f"p{i}/1", float(value)) for i, value in enumerate(values))
    value = float(values.mean())
    return Measurement(
        "m", "mean", value, len(values), 0, "higher", "", "", prompts=len(values), per_image=images, sides=1
    )


def lower(values: Floats) -> Floats:
    return intervals.mean_bounds(values, 1 - CONFIDENCE)[1]


def tails() -> Iterator[str]:
    yield "| max of a share | " + " | ".join(map(str, PROMPTS)) + " |"
    yield "|---|" + "---|" * len(PROMPTS)
    for limit in LIMITS:
        yield f"| {limit} | {' | '.join(_tail(limit, prompts) for prompts in PROMPTS)} |"


def _tail(limit: float, prompts: int) -> str:
    """Return the hits that pass, and the true share that passes in 90 and in 99 % of runs."""
    row = Threshold("tail", "m", "", max=limit, stat="share_at_most", at=0.0, rule="bound")
    images = tuple((f"p{i}/1", 1.0) for i in range(prompts))
    m = replace(_measured(np.ones(prompts)), stat="share_at_most", value=0.0, at=0.0, per_image=images)
    ends = power.accepted(m, row)
    needed = [power.need(m, row, chance) for chance in power.CHANCES]
    if ends is None:
        return "never"
    return f"{ends[1]}: " + ", ".join(f"{one.most:.3f}" for one in needed if one and one.most is not None)


def unseen(draws: int) -> Iterator[str]:
    yield "| prompts that fail | " + " | ".join(map(str, PROMPTS)) + " |"
    yield "|---|" + "---|" * len(PROMPTS)
    for share in FAILING:
        yield f"| {100 * share:.0f} % | {' | '.join(_unseen(share, prompts, draws) for prompts in PROMPTS)} |"


def _unseen(share: float, prompts: int, draws: int) -> str:
    """Return, in %, draws without a failing prompt, and draws that pass a mean that is at its limit."""
    rng = np.random.default_rng([prompts, int(100 * share)])
    fails = rng.random((draws, prompts)) < share
    values = np.where(fails, 0.1, rng.normal(0.65, 0.05, (draws, prompts)))
    truth = share * 0.1 + (1 - share) * 0.65
    passed = np.mean(lower(values) >= truth)
    return f"{100 * (1 - share) ** prompts:.0f}, {100 * passed:.0f}"


if __name__ == "__main__":
    main()
