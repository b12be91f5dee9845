"""Rows that no LoRA could pass are refused, with the number of prompts that they need."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from measure_world import PROMPTS

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Prompt, PromptSet, Threshold
from lora_checks.judge import until_decided
from lora_checks.judge.reach import refuse
from lora_checks.stats import shares


def said(prompts: int, seeds: int = 1, tagged: int = 0) -> PromptSet:
    own = tuple(Prompt(f"p{i}", "words", ("glasses",) if i < tagged else ()) for i in range(prompts))
    return replace(PROMPTS, prompts=own, seeds=tuple(range(seeds)))


def row(metric: str, **fields: Any) -> Threshold:
    return Threshold("sound", metric, "w", source="thresholds.yaml:3", **{"rule": "bound", **fields})


def refusal(asked: Threshold, of: PromptSet, most: int | None = None) -> str:
    metric = metrics.get(asked.metric)
    due = until_decided.plan(of, [(asked, metric)], most).due[asked.name] if most else None
    try:
        refuse(asked, metric, of, due)
    except ConfigError as error:
        return str(error)
    return ""


SHARE = {"stat": "share_at_least", "at": 0.9}
ROWS: dict[str, tuple[Threshold, int, int]] = {  # row, prompts, the least number
    "missing": (row("arcface", stat="missing", max=0.2), 12, 14),
    "share": (row("arcface", **SHARE, max=0.02), 25, 149),
    "share at most": (row("arcface", stat="share_at_most", at=0.5, max=0.1), 28, 29),
    "share, min": (row("arcface", **SHARE, min=0.9), 28, 29),
    "flat": (row("flat", max=0.1), 25, 29),
    "clip_choice": (row("clip_choice", min=0.9), 16, 29),
    "gain": (row("clip_choice", gain=True, min=0.5), 8, 13),
    "share of gains": (row("arcface", stat="share_at_least", at=0.1, gain=True, min=0.9), 28, 29),
    "two limits": (row("arcface", **SHARE, min=0.2, max=0.6), 8, 26),
    "gain, two limits": (row("flat", gain=True, min=-0.1, max=0.1), 25, 42),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_cannot_pass_is_refused_with_the_least_number_of_prompts(name: str) -> None:
    asked, prompts, least = ROWS[name]
    why = refusal(asked, said(prompts))
    assert why.startswith(f"thresholds.yaml:3: sound: {prompts} prompts cannot show ")
    assert f"; use {least} prompts or more, choose another limit, or use 'rule: estimate'" in why
    assert refusal(asked, said(least)) == ""
    assert f"use {least} prompts" in refusal(asked, said(least - 1))
    assert refusal(replace(asked, rule="estimate"), said(prompts)) == ""


def test_the_sentence_says_what_a_lora_without_fault_would_show() -> None:
    assert refusal(ROWS["missing"][0], said(12)) == (
        "thresholds.yaml:3: sound: 12 prompts cannot show max 0.200 for share of images with no face: "
        "0 of 12 shows at most 0.221; use 14 prompts or more, choose another limit, "
        "or use 'rule: estimate', which proves less"
    )
    assert "28 of 28 shows at least 0.899;" in refusal(row("clip_choice", min=0.9), said(28))


@pytest.mark.parametrize("limits", [{"max": 0.0}, {"max": 1e-5}])
def test_what_no_number_of_prompts_could_show_is_said(limits: dict[str, float]) -> None:
    assert "and no number of prompts can; choose another limit" in refusal(row("flat", **limits), said(25))
    assert "no number of prompts can" in refusal(row("clip_choice", min=1.0), said(25))


@pytest.mark.parametrize("metric", ["arcface", "kid"])
def test_fewer_than_eight_prompts_have_no_bound(metric: str) -> None:
    why = "'rule: bound' takes 8 prompts or more, and the row has 6 prompts"
    assert f"{why}: add 2 more, or use" in refusal(row(metric, max=0.5), said(6, 4))
    tagged = refusal(row(metric, max=0.5, on="glasses"), said(16, 1, 6))
    assert f"{why} with the tag 'glasses': add 2 more" in tagged
    assert refusal(row(metric, max=0.5, rule="estimate"), said(6)) == ""
    assert refusal(row(metric, max=0.5), said(8)) == ""


def test_seeds_of_the_same_prompts_do_not_help() -> None:
    """Images of one prompt that agree count once, so a perfect LoRA shows no more with several seeds."""
    assert "0 of 12 shows at most 0.221; use 14 prompts" in refusal(ROWS["missing"][0], said(12, 4))


def test_until_decided_is_refused_by_its_own_stricter_level() -> None:
    """25 prompts without a miss show 0.113 at 5 %, and no more than 0.12 at the last of several looks."""
    asked = row("flat", max=0.115)
    assert refusal(asked, said(25)) == ""
    why = refusal(asked, said(25), most=100)
    assert "25 prompts cannot show max 0.115 for mean flat: 0 of 25 shows at most 0.12" in why
    least = int(why.partition("; use ")[2].partition(" ")[0])
    assert least in (27, 28)
    assert refusal(asked, said(least), most=4 * least) == ""


@pytest.mark.parametrize("prompts", [8, 13, 25])
@pytest.mark.parametrize("limit", [0.1, 0.21, 0.3, 0.32])
def test_what_is_not_refused_can_pass(prompts: int, limit: float) -> None:
    _, high = shares.clopper_pearson(0, prompts, 0.05)
    assert (refusal(row("flat", max=limit), said(prompts)) == "") == (high <= limit)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (row("clip_score", min=25), "no clip_score can reach min 25.00: it is 1.000 at most; choose another"),
        (
            row("clip_score", min=25, rule="estimate", stat="worst_prompt"),
            "no clip_score can reach min 25.00",
        ),
        (row("ssim", max=-2, rule="estimate"), "no ssim can reach max -2.000: it is -1.000 at least"),
        (row("lpips", max=-0.1), "no lpips can reach max -0.100: it is 0.000 at least"),
        (row("fid", max=-1), "no fid can reach max -1.000"),
        (
            row("clip_score", gain=True, min=2.5),
            "no gain in clip_score can reach min 2.500: it is 2.000",
        ),
    ],
)
def test_a_limit_that_no_value_of_the_metric_meets_is_refused(asked: Threshold, words: str) -> None:
    assert words in refusal(asked, said(25))


@pytest.mark.parametrize(
    "asked",
    [
        row("clip_score", min=1.0),
        row("clip_score", gain=True, min=1.5),
        row("aesthetic", min=9),
        row("psnr", max=70, min=20),
        row("sharpness", gain=True, min=-300),
        row("kid", max=-0.01),
    ],
)
def test_a_limit_at_the_end_of_the_range_is_left(asked: Threshold) -> None:
    assert refusal(asked, said(25)) == ""
