"""What a row may not ask of its metric, and the task that a valid row sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS

from lora_checks import metrics
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSet, Metric, Prompt, Threshold
from lora_checks.judge.row_fit import has_floor, refuse, refuse_unpaired, refuse_unreachable
from lora_checks.judge.task import task_of
from lora_checks.metrics.distribution import frechet
from lora_checks.stats import floors

IMAGES = ImageSet("candidate", ())
TO_BASE = Metric("mine", lambda d: d, "lpips", "baseline", "image", "lower", (0, 1), "distances")


def row(metric: str, **fields: Any) -> Threshold:
    return Threshold("row", metric, "for this test", **fields)


def pictures(name: str) -> ImageSet:
    """Return a folder of pictures, or a statistics file for the name "statistics"."""
    return ImageSet(name, (), Path("stats.npz") if name == "statistics" else None)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (row("mine", max=0.5, gain=True), "mine compares with the base already; leave out 'gain'"),
        (
            row("clip_score", min=0.2, against="baseline"),
            "clip_score .* 'gain: true'",
        ),
        (row("fid", max=9, stat="max"), "fid is one value for all images, so it has no stat 'max'"),
        (row("clip_choice", min=0.5), "clip_choice chooses among texts: list two or more"),
        (row("clip_choice", min=0.5, texts=("a",)), "list two or more"),
        (row("clip_score", min=0.5, texts=("a", "b")), "clip_score .* remove 'texts'"),
        (row("fid", max=9, pairing="mean"), "fid .*remove 'pairing: mean'"),
        (row("clip_score", min=0.2, pairing="named"), "clip_score .*pair"),
        (row("clip_choice", min=0.2, texts=("a", "b"), pairing="mean"), "clip_choice .*pair"),
        (row("arcface", min=0.5, against="statistics"), "arcface compares with pictures, and statistics is"),
        (row("kid", max=9, against="statistics"), "kid compares with pictures, and statistics is a file"),
    ],
)
def test_what_a_row_says_and_its_metric_cannot_do_is_refused(asked: Threshold, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        refuse(asked, TO_BASE if asked.metric == "mine" else metrics.get(asked.metric), pictures)


@pytest.mark.parametrize(
    "asked",
    [
        row("mine", max=0.5),
        row("mine", max=0.5, against="baseline"),
        row("arcface", min=0.5, against="baseline"),
        row("arcface", min=0.1, gain=True, stat="max", pairing="mean"),
        row("clip_score", min=0.1, gain=True),
        row("clip_score", min=0.1, against="statistics"),  # which it does not look at
        row("clip_choice", min=0.5, texts=("a", "b")),
        row("fid", max=9, against="statistics"),
    ],
)
def test_what_goes_together_is_not_refused(asked: Threshold) -> None:
    refuse(asked, TO_BASE if asked.metric == "mine" else metrics.get(asked.metric), pictures)


@pytest.mark.parametrize(
    ("asked", "floor"),
    [
        (row("fid", max=9), True),
        (row("fid", min=9), False),
        (row("fid", max=9, gain=True), False),
        (row("fid", max=9, against="baseline"), False),
        (row("kid", max=9), False),
    ],
)
def test_a_frechet_distance_to_references_has_a_floor(asked: Threshold, floor: bool) -> None:
    assert has_floor(asked, metrics.get(asked.metric)) == floor


def test_a_limit_below_what_the_references_give_themselves_is_refused() -> None:
    """The number of the row's images decides: with a tag there are fewer, and the floor is higher."""
    y = np.random.default_rng(0).normal(size=(40, 4))
    prompts = tuple(Prompt(f"p{i}", "words", ("dark",) if i < 8 else ()) for i in range(20))
    said = replace(PROMPTS, prompts=prompts)
    whole, dark = (floors.floor(frechet, y, n) for n in (20, 8))
    assert whole is not None
    assert dark is not None
    for on, n, floor in (("", 20, whole), ("dark", 8, dark)):
        limit = row("fid", max=floor * 0.999, on=on, source="thresholds.yaml:7")
        with pytest.raises(
            ConfigError, match=rf"thresholds.yaml:7: row: fid .* with {n} images: references \(40\)"
        ):
            refuse_unreachable(limit, metrics.get("fid"), y, said)
        refuse_unreachable(replace(limit, max=floor), metrics.get("fid"), y, said)
    refuse_unreachable(limit, metrics.get("fid"), None, said)
    refuse_unreachable(limit, metrics.get("fid"), y[:15], said)  # too few to split


@pytest.mark.parametrize(
    ("fields", "sides"),
    [
        ({"min": 0.5, "rule": "bound"}, 1),
        ({"max": 0.5, "rule": "bound"}, 1),
        ({"min": 0.1, "max": 0.5, "rule": "bound"}, 2),
        ({"min": 0.5, "rule": "estimate"}, 2),
    ],
)
def test_only_a_bound_on_one_side_is_one_sided(fields: dict[str, Any], sides: int) -> None:
    assert task_of(row("arcface", **fields), metrics.get("arcface"), IMAGES, None, None).sides == sides


def test_a_task_is_what_the_row_asks_for() -> None:
    other, base = ImageSet("references", ()), ImageSet("baseline", ())
    asked = row(
        "arcface", min=0.5, stat="share_at_least", at=0.7, pairing="mean", on="dark", texts=("a", "b")
    )
    made = task_of(asked, metrics.get("arcface"), IMAGES, other, base)
    assert (made.images, made.other, made.baseline) == (IMAGES, other, base)
    assert (made.stat, made.at, made.pairing, made.on, made.texts) == (
        "share_at_least", 0.7, "mean", "dark", ("a", "b"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "worst"),
    [
        ({"min": 0.5}, "lowest"),
        ({"max": 0.5}, "highest"),
        ({"min": 0.1, "max": 0.5}, "lowest"),  # as the metric says
        ({"stat": "share_at_most", "at": 0.7, "max": 0.2}, "lowest"),  # few copies: the nearest one is worst
        ({"stat": "share_at_most", "at": 0.7, "min": 0.9}, "highest"),
        ({"stat": "share_at_least", "at": 0.7, "max": 0.2}, "highest"),
        ({"stat": "share_at_least", "at": 0.7, "min": 0.9}, "lowest"),
    ],
)
def test_the_worst_prompt_is_the_one_that_the_limit_is_there_to_catch(
    limits: dict[str, Any], worst: str
) -> None:
    made = task_of(row("arcface", **limits), metrics.get("arcface"), IMAGES, None, None)
    assert made.ask.lowest == (worst == "lowest")


@pytest.mark.parametrize(
    ("metric", "asked", "refused"),
    [
        ("lpips", {"against": "baseline"}, True),
        ("clip_i", {"against": "baseline", "stat": "min"}, True),
        ("clip_score", {"gain": True, "stat": "min"}, True),
        ("clip_score", {"gain": True, "stat": "share_at_least", "at": 0.0}, True),
        ("clip_score", {"gain": True}, False),
        ("clip_score", {"gain": True, "stat": "worst_prompt"}, False),
        ("clip_score", {"stat": "min"}, False),
        ("fid", {"against": "baseline"}, False),
        ("lpips", {}, False),
    ],
)
def test_without_pairs_no_row_asks_for_them(metric: str, asked: dict[str, Any], refused: bool) -> None:
    """A set and a prompt's mean need no pairs; one image's gain, and its distance to the base's, do."""
    wanted = row(metric, max=1.0, **asked)
    because = "the base's images have other steps"
    for why in ("", because):
        arguments = (metrics.get(metric), wanted.stat, wanted.gain, wanted.against, why)
        if refused and why:
            with pytest.raises(ConfigError, match=f"no pairs: {because} .*'gain: true' with stat 'mean'"):
                refuse_unpaired(*arguments)
        else:
            refuse_unpaired(*arguments)
