"""List the stages in which the miniature's judge is trained, and draw a stage's batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from draw import Identity, sample_scene
from questions import STYLE, Style, about, off_topic, same
from vlm_batches import Row
from vlm_samples import Sample, people, sample
from vlm_sight import hints


@dataclass(frozen=True)
class Stage:
    """How long and how fast to learn (see `fit`), and what a batch has in each process."""

    seed: int
    steps: int
    rate: float
    until: int | None = None
    warm_up: int = 100
    still: bool = False  # whether the vision tower stays as it is
    singles: int = 7
    persons: int = 2  # of each, two pictures
    pairs: int = 6
    questions: int = 5  # about a picture
    style: Style = STYLE
    small: float = 0.0  # share of faulty drawings whose fault is small


SIGHT = Stage(seed=42, steps=1400, until=600, rate=1e-3, singles=48)
SPEECH = {
    "speech": Stage(seed=43, steps=1300, until=800, rate=1e-3),
    "fluency": Stage(seed=44, steps=800, until=500, rate=2e-3, still=True),
    "finish": Stage(seed=45, steps=400, rate=1e-3),
    "polish": Stage(seed=47, steps=700, rate=1e-3),
    "glasses": Stage(
        seed=50, steps=240, rate=1.2e-3, warm_up=30, pairs=3, questions=6, style=Style(0.7, 0.5)
    ),
    "details": Stage(
        seed=51, steps=900, rate=1.2e-3, warm_up=30, singles=6, persons=4, pairs=12, style=Style(0.6, 0.2),
        small=0.5,
    ),
}  # fmt: skip
"""After sight, each from where the one before it ended."""


def rows_of(stage: Stage, rng: np.random.Generator) -> tuple[list[Sample], list[Row]]:
    """Draw a batch: single pictures, pictures of persons, and pairs of those."""
    samples = [sample(rng, small=stage.small) for _ in range(stage.singles)]
    shown, owners = people(rng, stage.persons)
    samples += shown
    singles = []
    for number, (_, truth) in enumerate(samples):
        asked = about(truth, rng, stage.style)
        if truth.person is False:
            asked.insert(0, off_topic(sample_scene(rng), rng))
        singles.append(Row((number,), asked[: stage.questions]))
    return samples, singles + _pairs(stage, samples, owners, rng)


def _pairs(
    stage: Stage, samples: list[Sample], owners: list[Identity], rng: np.random.Generator
) -> list[Row]:
    """Pair the pictures of persons: half show one person twice; a few have nobody on one side."""
    rows, start = [], stage.singles
    nobody = [i for i in range(start) if samples[i][1].person is False]
    for number in range(stage.pairs):
        first = int(rng.integers(len(owners)))
        truth = number % 2 == 1
        others = [i for i, owner in enumerate(owners) if owner != owners[first]]
        pair = (start + first, start + (first ^ 1 if truth else others[int(rng.integers(len(others)))]))
        nobody_there = bool(nobody) and not truth and rng.random() < 0.2
        if nobody_there:
            pair = (nobody[int(rng.integers(len(nobody)))], pair[1])
            pair = pair if rng.random() < 0.7 else (pair[1], pair[0])
        alike = () if nobody_there else hints(*(owners[i - start] for i in pair))
        rows.append(Row(pair, [same(truth, rng, alike)]))
    return rows
