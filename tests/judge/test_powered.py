"""Proposed limits let the good LoRA pass all rows in 95 % of runs, or say how many prompts that takes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lora_checks.core.records import Lora, Measurement, Threshold
from lora_checks.judge.calibration import Labelled, calibrate
from lora_checks.judge.powered import WANTED, Asked, hits_within, powered
from lora_checks.judge.verdict import judge
from lora_checks.stats import intervals, summary

SPREAD = 0.12
IDENTITY = Threshold("identity", "arcface", "for this test", min=0.1, rule="bound")
TAIL = Threshold("tail", "arcface", "for this test", max=0.9, stat="share_at_most", at=0.3, rule="bound")
Draw = np.ndarray


def lora(name: str) -> Lora:
    return Lora(Path(f"{name}.safetensors"), name, "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)


def mean_of(values: np.ndarray) -> Measurement:
    found = intervals.mean_interval(values, 0.05)
    images = tuple((f"p{i:03}/1", float(value)) for i, value in enumerate(values))
    return Measurement(
        "arcface", "mean", found.estimate, len(values), 0, "higher", "net", "net", low=found.low,
        high=found.high, prompts=len(values), per_image=images, sides=1,
    )  # fmt: skip


def share_of(values: np.ndarray) -> Measurement:
    groups = [f"p{i:03}" for i in range(len(values))]
    found = summary.of_hits(summary.Ask("share_at_most", 0.3, sides=1), values <= 0.3, groups)
    return replace(
        mean_of(values),
        stat="share_at_most",
        at=0.3,
        value=found["value"],
        low=found["low"],
        high=found["high"],
    )


def drawn(rng: np.random.Generator, centre: float, prompts: int) -> np.ndarray:
    return np.asarray(rng.normal(centre, SPREAD, prompts))


def asked(row: Threshold, good: Measurement, again: Measurement, bad: Measurement) -> Asked:
    arms = [[Labelled(lora(name), m)] for name, m in (("good", good), ("good", again), ("bad", bad))]
    return Asked(row, calibrate(row, *arms), arms[0], arms[1])


def test_a_limit_close_below_the_good_loras_own_bound_moves_until_it_passes() -> None:
    """The bad LoRA ends so near to the good one that midway is only 0.003 below the good one's bound."""
    good, again = (mean_of(drawn(np.random.default_rng(seed), 0.6, 32)) for seed in (1, 2))
    worst = min(good.low or 0, again.low or 0)
    bad = replace(good, value=0.45, low=0.38, high=worst - 0.006)
    before = calibrate(
        IDENTITY, *[[Labelled(lora(n), m)] for n, m in (("g", good), ("g", again), ("b", bad))]
    )
    assert not before.refused
    assert worst - before.row.min < 0.004  # type: ignore[operator]
    (found,), _ = powered([asked(IDENTITY, good, again, bad)])
    assert found.refused  # there is no room on this side of the bad one
    assert found.row == IDENTITY  # what was not calibrated says nothing of where its limit comes from
    wanted = int(re.search(r"about (\d+) prompts would be enough", found.sentences[0]).group(1))  # type: ignore[union-attr]
    assert 40 < wanted < 200


@pytest.mark.parametrize("prompts", [25, 32])
def test_the_good_lora_passes_all_proposed_rows_in_as_many_runs(prompts: int) -> None:
    """Each calibration is from one run with new prompts, and is tried on new runs of the same LoRA."""
    rng, passed, runs, refused = np.random.default_rng(prompts), 0, 0, 0
    for _ in range(40):
        good, again = drawn(rng, 0.62, prompts), drawn(rng, 0.62, prompts)
        bad = drawn(rng, 0.5, prompts)
        rows = [
            asked(IDENTITY, mean_of(good), mean_of(again), mean_of(bad)),
            asked(replace(TAIL, max=0.3), share_of(good), share_of(again), share_of(bad)),
        ]
        found, said = powered(rows)
        if found[0].refused or found[1].refused:
            refused += 1
            continue
        assert all("passes all rows" in text for text in said)
        for _ in range(25):
            fresh = drawn(rng, 0.62, prompts)
            pairs = zip((mean_of(fresh), share_of(fresh)), found, strict=True)
            passed += all(judge(m, one.row, lora("good")).outcome == "PASS" for m, one in pairs)
            runs += 1
    assert runs > 100
    assert passed / runs >= WANTED - 0.015


def test_with_as_many_prompts_as_it_says_the_row_is_calibrated() -> None:
    rng, needed = np.random.default_rng(9), []
    for _ in range(8):
        arms = [mean_of(drawn(rng, centre, 16)) for centre in (0.6, 0.6, 0.47)]
        (found,), _ = powered([asked(IDENTITY, arms[0], arms[1], arms[2])])
        needed += [int(text) for text in re.findall(r"about (\d+) prompts", " ".join(found.sentences))]
    assert needed  # 16 are too few for this distance
    many = int(np.median(needed) * 1.3)
    arms = [mean_of(drawn(rng, centre, many)) for centre in (0.6, 0.6, 0.47)]
    (found,), said = powered([asked(IDENTITY, arms[0], arms[1], arms[2])])
    assert not found.refused, found.sentences
    assert 0.47 < found.row.min < 0.6  # type: ignore[operator]
    assert "passes all rows" in said[0]


def test_a_limit_that_separates_nothing_and_stops_the_good_one_is_named() -> None:
    """No bad LoRA is worse in this row, so its limit stays; but a good LoRA hardly passes with 25 prompts."""
    values = np.array([0.2] * 2 + [0.7] * 30)
    tail = replace(TAIL, max=0.2)
    (found,), _ = powered([asked(tail, share_of(values), share_of(values), share_of(values + 0.5))])
    assert found.refused
    assert re.search(r"about \d+ prompts would be enough, or max 0\.\d+", found.sentences[0])


def test_limits_far_from_the_good_lora_stay_midway() -> None:
    arms = [
        mean_of(drawn(np.random.default_rng(seed), centre, 32))
        for seed, centre in ((1, 0.6), (2, 0.6), (3, 0.1))
    ]
    row = asked(IDENTITY, arms[0], arms[1], arms[2])
    (found,), said = powered([row])
    assert found == row.calibrated
    assert said[0].startswith("Good 'good' passes all rows above that are calibrated in about 100 % of runs")


def test_hits_that_nearly_all_runs_stay_within() -> None:
    assert hits_within(32, 0.03, 0.05) == (0, 3)
    assert hits_within(32, 0.97, 0.05) == (29, 32)
