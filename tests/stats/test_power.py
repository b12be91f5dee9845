"""What a LoRA needs to pass in nearly every run, compared with runs of LoRAs whose true value is known."""

from __future__ import annotations

import json
from dataclasses import replace
from math import comb
from pathlib import Path

import numpy as np
import pytest

from lora_checks.core.records import Lora, Measurement, Threshold
from lora_checks.judge.verdict import judge
from lora_checks.record import document as report
from lora_checks.record.rows import power_sentences
from lora_checks.report.markdown import render
from lora_checks.report.terminal import lines
from lora_checks.stats import intervals, power, shares, summary

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
RUNS = 1500


def mean_of(values: np.ndarray, sides: int = 1, better: str = "higher") -> Measurement:
    """Measure a mean over prompts with one image each."""
    found = intervals.mean_interval(values, 0.05 / sides)
    images = tuple((f"p{i:03}/1", float(value)) for i, value in enumerate(values))
    return Measurement(
        "arcface", "mean", found.estimate, len(values), 0, better, "net", "net", low=found.low,  # type: ignore[arg-type]
        high=found.high, prompts=len(values), per_image=images, sides=sides,  # type: ignore[arg-type]
    )  # fmt: skip


def share_of(hits: int, n: int, seeds: int = 1) -> Measurement:
    """Measure the share of images at most 0.5, of which ``hits`` of ``n`` prompts are."""
    values = [0.0 if i < hits else 1.0 for i in range(n) for _ in range(seeds)]
    images = tuple((f"p{i // seeds:03}/{i % seeds}", value) for i, value in enumerate(values))
    groups = [name.partition("/")[0] for name, _ in images]
    ask = summary.Ask("share_at_most", 0.5, sides=1)
    found = summary.of_hits(ask, np.array(values) <= 0.5, groups)
    return Measurement(
        "clip_score", "share_at_most", found["value"], n * seeds, 0, "higher", "net", "net", low=found["low"],
        high=found["high"], prompts=n, per_image=images, at=0.5, sides=1,
    )  # fmt: skip


def row(name: str = "identity", **rest: object) -> Threshold:
    return Threshold(name, "arcface", "for this test", rule="bound", **rest)  # type: ignore[arg-type]


TAIL = Threshold("tail", "clip_score", "for this test", max=0.2, stat="share_at_most", at=0.5, rule="bound")


@pytest.mark.parametrize(
    ("shape", "prompts", "chance", "least", "most"),
    [
        ("normal", 16, 0.9, 0.80, 0.93),  # the spread of 16 prompts is often smaller than the truth's
        ("normal", 32, 0.9, 0.85, 0.93),
        ("normal", 32, 0.99, 0.95, 1.0),
        ("skewed", 32, 0.9, 0.74, 0.93),  # and a long tail is rarely among 32
        ("skewed", 32, 0.99, 0.88, 1.0),
        ("normal", 64, 0.99, 0.96, 1.0),
    ],
)
def test_a_lora_at_the_value_named_passes_as_often(
    shape: str, prompts: int, chance: float, least: float, most: float
) -> None:
    """Predict from one run of each of many LoRAs, as the spread of a single run is luck; the gate judges."""
    rng = np.random.default_rng([prompts, int(100 * chance), len(shape)])

    def draw() -> np.ndarray:
        away = rng.normal(0, 0.1, prompts) if shape == "normal" else 0.1 - rng.exponential(0.1, prompts)
        return np.asarray(0.6 + away)

    limited, passed = row(min=0.5), 0
    for _ in range(RUNS // 5):
        needed = power.need(mean_of(draw()), limited, chance)
        assert needed is not None
        assert needed.least is not None
        for _ in range(5):
            run = mean_of(draw() - 0.6 + needed.least)
            passed += judge(run, limited, LORA).outcome == "PASS"
    assert least <= passed / RUNS <= most


def test_higher_and_lower_are_mirrored() -> None:
    values = np.random.default_rng(3).normal(0.6, 0.1, 32)
    up = power.need(mean_of(values), row(min=0.5), 0.9)
    down = power.need(mean_of(-values, better="lower"), row(max=-0.5), 0.9)
    assert up is not None
    assert down is not None
    assert (down.least, down.most) == (None, pytest.approx(-up.least))  # type: ignore[operator]


def test_between_two_limits_there_is_room_or_none() -> None:
    values = np.random.default_rng(4).normal(0.5, 0.05, 32)
    found = power.need(mean_of(values, sides=2), row(min=0.4, max=0.6), 0.99)
    assert found is not None
    assert 0.4 < found.least < 0.5 < found.most < 0.6  # type: ignore[operator]
    assert power.need(mean_of(values, sides=2), row(min=0.49, max=0.51), 0.9) is None


@pytest.mark.parametrize(("n", "allowed"), [(16, 0), (25, 1), (32, 2), (64, 7)])
def test_a_share_is_exact(n: int, allowed: int) -> None:
    m = share_of(0, n)
    assert power.accepted(m, TAIL) == (0, allowed)
    for chance in power.CHANCES:
        needed = power.need(m, TAIL, chance)
        assert needed is not None
        p = needed.most
        assert p is not None
        passes = sum(comb(n, hits) * p**hits * (1 - p) ** (n - hits) for hits in range(allowed + 1))
        assert passes == pytest.approx(chance)


def test_seeds_of_a_prompt_count_as_the_interval_counts_them() -> None:
    few = share_of(1, 16, seeds=4)  # hits of one prompt: each prompt counts once
    assert power.accepted(few, TAIL) == power.accepted(share_of(1, 16), TAIL)
    values = np.array([False] * 16 + [True, False, False, False] * 4 + [False] * 32)
    groups = [f"p{i // 4}" for i in range(64)]
    assert shares.worth(values, groups, 0.05) > 16


def test_the_mean_of_two_values_is_a_share_in_its_own_unit() -> None:
    n, hits = 32, 31
    images = tuple((f"p{i:03}/1", 3.0 if i < hits else 1.0) for i in range(n))
    m = Measurement(
        "own", "mean", 1 + 2 * hits / n, n, 0, "higher", "net", "net", prompts=n, per_image=images, sides=1,
        points=(1.0, 3.0),
    )  # fmt: skip
    missed = power.need(share_of(1, n), TAIL, 0.9)
    found = power.need(m, row(min=1 + 2 * 0.8), 0.9)
    assert found is not None
    assert missed is not None
    assert found.least == pytest.approx(1 + 2 * (1 - missed.most))  # type: ignore[operator]
    assert power.passes([(m, row(min=2.6))]) == pytest.approx(power.passes([(share_of(1, n), TAIL)]))


def test_a_row_that_no_lora_passes_so_often_names_none() -> None:
    assert power.need(share_of(0, 12), TAIL, 0.9) is None  # 0 of 12 say at most 0.221
    assert power.passes([(share_of(0, 12), TAIL)]) == 0


def test_rows_of_one_prompt_fall_together_and_others_do_not() -> None:
    rng = np.random.default_rng(6)
    one = mean_of(rng.normal(0.6, 0.1, 32))
    limited = row(min=0.5)
    single = power.passes([(one, limited)], 0.9)
    assert single == pytest.approx(0.9, abs=0.01)
    assert power.passes([(one, limited), (one, limited)], 0.9) == single
    again = power.passes([(one, limited), (share_of(0, 32), TAIL)], 0.9)
    assert again == pytest.approx(0.81, abs=0.01)


def test_what_was_not_measured_for_each_prompt_is_not_told_of() -> None:
    m = Measurement("fid", "mean", 3.0, 32, 0, "lower", "net", "net", prompts=32)
    assert power.need(m, row(max=5.0), 0.9) is None
    assert power.passes([(m, row(max=5.0))]) is None


def test_the_report_says_it_beside_each_row_and_of_all_rows() -> None:
    rng = np.random.default_rng(7)
    found = [(mean_of(rng.normal(0.6, 0.1, 32)), row(min=0.5)), (share_of(0, 32), TAIL)]
    verdicts = [judge(m, t, LORA) for m, t in found]
    required = [("a", "identity"), ("a", "tail")]
    document = report.build({"loras": [], "required": required}, verdicts)
    (lora,) = document["loras"]
    by_check = {one["check"]: one for one in lora["rows"]}
    needed = power.need(*found[0], 0.99)
    assert needed is not None
    assert by_check["identity"]["power"][1] == {"chance": 0.99, "least": needed.least, "most": None}
    assert lora["power"]["as_found"] == power.passes(found)
    assert [one["passes"] for one in lora["power"]["at"]] == [power.passes(found, c) for c in power.CHANCES]
    words = " ".join(power_sentences(lora))
    assert f"identity {by_check['identity']['power'][0]['least']:.3f} ({needed.least:.3f})" in words
    for text in (render(document).replace("\\", ""), " ".join("\n".join(lines(document, 110)).split())):
        assert "0.035, 0.014" in text or "tail 0.035 (0.014)" in text
        assert "ll rows together: a LoRA as it was found passes in" in text
    json.dumps(document, allow_nan=False)


def test_with_a_row_that_was_not_measured_nothing_is_said_of_all_rows() -> None:
    from lora_checks.judge.verdict import error

    good = judge(mean_of(np.random.default_rng(8).normal(0.6, 0.1, 32)), row(min=0.5), LORA)
    verdicts = [good, error("a", "", "tail", TAIL, "broken")]
    document = report.build({"loras": [], "required": [("a", "identity"), ("a", "tail")]}, verdicts)
    assert document["loras"][0]["power"] is None


def test_an_image_at_the_limit_of_a_share_counts_in_its_power_as_in_its_value() -> None:
    """Three times 0.1 is above 0.3 in its last digit, and counts as equal."""
    measured = share_of(1, 16)
    assert power.is_hit(replace(measured, at=0.3), 0.1 * 3)
    assert not power.is_hit(replace(measured, at=0.3), 0.31)
