"""How many more prompts would decide a share of images, by its exact interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats as reference

from lora_checks.core.records import Lora, Measurement, Outcome, Threshold, Verdict
from lora_checks.judge.verdict import judge
from lora_checks.stats import shares, two_valued

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
KINDS: dict[str, dict[str, Any]] = {
    "missing": {"stat": "missing"},
    "share": {"stat": "share_at_least", "at": 0.9},
    "two-valued": {"points": (0.0, 1.0)},
}


def judged(kind: str, hits: int, prompts: int, limits: dict[str, float], seeds: int = 1) -> Verdict:
    """Measure a share over prompts, of which the first have a hit with each seed."""
    names = [f"p{i}/{seed}" for i in range(prompts) for seed in range(seeds)]
    found = np.repeat(np.arange(prompts) < hits, seeds)
    values = [None if hit and kind == "missing" else float(hit) for hit in found]
    groups = [name.split("/")[0] for name in names]
    exact = shares.interval(found, groups, sides=1)
    assert exact is not None
    fields = KINDS[kind]
    missing = int(found.sum()) if kind == "missing" else 0
    m = Measurement(
        "x", fields.get("stat", "mean"), exact.estimate, len(values) - missing, missing, "lower", "n", "n",
        low=exact.low, high=exact.high, prompts=prompts, sides=1,
        per_image=tuple(zip(names, values, strict=True)), at=fields.get("at"), points=fields.get("points"),
    )  # fmt: skip
    row = Threshold("row", "x", "w", rule="bound", stat=m.stat, at=m.at, **limits)
    return judge(m, row, LORA)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("hits", "prompts", "limits", "more"),
    [
        (0, 25, {"max": 0.01}, 274),
        (0, 8, {"max": 0.3}, 1),
        (0, 25, {"max": 0.1}, 4),
        (25, 25, {"min": 0.99}, 274),
        (8, 8, {"min": 0.7}, 1),
    ],
)
def test_advice_on_a_share_is_what_its_exact_interval_takes(
    kind: str, hits: int, prompts: int, limits: dict[str, float], more: int
) -> None:
    found = judged(kind, hits, prompts, limits)
    assert found.outcome is Outcome.INCONCLUSIVE
    assert (found.details["more_prompts"], found.details["more_seeds"]) == (more, None)
    noun = "prompt" if more == 1 else "prompts"
    assert f"about {more} more {noun} would probably decide" in found.reason
    total = prompts + more
    assert judged(kind, total if hits else 0, total, limits).outcome is Outcome.PASS
    assert judged(kind, total - 1 if hits else 0, total - 1, limits).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(("share", "limit"), [(0.04, 0.1), (0.2, 0.3), (0.96, 0.9), (0.3, 0.2), (0.5, 0.65)])
def test_the_prompts_that_are_advised_decide_in_four_runs_of_five(share: float, limit: float) -> None:
    more = shares.more_prompts(share, 25, limit, tail=0.05)
    assert more is not None

    def decided(total: int) -> float:
        hits = np.arange(total + 1)
        if share < limit:
            inside = reference.beta.ppf(0.95, hits + 1, np.maximum(total - hits, 1e-9)) <= limit
        else:
            inside = reference.beta.ppf(0.05, np.maximum(hits, 1e-9), total - hits + 1) >= limit
        return float(reference.binom.pmf(hits, total, share)[inside].sum())

    assert decided(25 + more) >= 0.8
    assert max(decided(total) for total in range(26, 25 + more)) < 0.8


def test_images_of_a_prompt_that_differ_count_as_several() -> None:
    alone = shares.more_prompts(0.1, 25, 0.2, tail=0.05)
    together = shares.more_prompts(0.1, 25, 0.2, of_a_prompt=3, tail=0.05)
    assert alone is not None
    assert together is not None
    assert together < alone / 2


def test_a_share_at_its_limit_cannot_be_decided() -> None:
    assert shares.more_prompts(0.1, 25, 0.1) is None
    assert shares.more_prompts(0.099, 25, 0.1) is None


@pytest.mark.parametrize(("up", "down", "limit"), [(0, 0, 0.05), (0, 0, -0.05), (20, 0, 0.7), (3, 10, -0.1)])
def test_advice_on_a_gain_is_what_its_exact_bounds_take(up: int, down: int, limit: float) -> None:
    moves = np.array([1.0] * up + [-1.0] * down + [0.0] * (25 - up - down))
    more = two_valued.more_prompts_for_gain(moves, 25, limit, tail=0.05)
    assert more is not None
    level = 0.025
    for total, decides in ((25 + more, True), (24 + more, False)):
        came, went = (shares.clopper_pearson(share * total / 25, total, level) for share in (up, down))
        assert (came[0] - went[1] >= limit or came[1] - went[0] <= limit) == decides
    assert two_valued.more_prompts_for_gain(moves, 25, (up - down) / 25) is None


def test_prompts_without_a_value_are_not_said_to_have_one() -> None:
    images = tuple((f"p{i}/1", None if i < 4 else 0.5) for i in range(10))
    m = Measurement("arcface", "mean", 0.5, 6, 4, "higher", "n", "n", prompts=10, sides=1, per_image=images)
    row = Threshold("row", "arcface", "w", min=0.4, rule="bound", max_missing=0.5)
    made = judge(m, row, LORA)
    assert made.outcome is Outcome.ERROR
    assert "takes values from at least 8 prompts (6 of the 10 in this run have one)" in made.reason
