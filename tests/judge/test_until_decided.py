"""Which looks a policy has, which rows are judged there, and when no more images are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measure_world import PROMPTS

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Lora, Measurement, Prompt, PromptSet, Threshold
from lora_checks.judge import until_decided
from lora_checks.judge.verdict import judge
from lora_checks.metrics import get
from lora_checks.stats.intervals import mean_interval
from lora_checks.stats.sequential import SPENT, levels

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
IDENTITY = Threshold("identity", "arcface", "w", min=0.5, rule="bound")
CLIP = Threshold("clip", "clip_score", "w", max=0.5, rule="bound")
PLAIN = Threshold("plain", "clip_score", "w", min=0.2)
FID = Threshold("fid", "trunk_frechet", "w", max=9.0, rule="bound")
KID = Threshold("kid", "kid", "w", max=9.0, rule="bound")


def said(prompts: int = 16, seeds: int = 2, arms: int = 0) -> PromptSet:
    own = [Prompt(f"p{i}", "words", ("even",) if i % 2 == 0 else ()) for i in range(prompts)]
    other = [Prompt(f"u{i}", "words", ("unrelated",)) for i in range(arms)]
    return replace(PROMPTS, prompts=(*own, *other), seeds=tuple(range(seeds)))


def planned(*rows: Threshold, most: int = 64, of: PromptSet | None = None) -> until_decided.Plan:
    return until_decided.plan(of or said(), [(row, get(row.metric)) for row in rows], most)


def test_looks_are_the_policys_prompts_in_its_order_with_more_and_more_seeds() -> None:
    looks = planned(IDENTITY).looks
    assert [len(look.seeds) for look in looks] == [1, 2, 3, 4]
    assert looks[3].seeds == (0, 1, 2, 3)
    assert all(look.prompts == said().prompts for look in looks)
    first = planned(IDENTITY, of=said(64, 1)).looks[0]
    ids = [prompt.id for prompt in said(64, 1).prompts]
    assert [prompt.id for prompt in first.prompts] == sorted((p.id for p in first.prompts), key=ids.index)
    assert len(first.prompts) == 16


def test_a_row_of_bounds_shares_its_error_over_the_looks() -> None:
    due = planned(IDENTITY).due["identity"]
    expected = levels((16, 32, 48, 64), SPENT * 0.05)
    assert due == pytest.approx({i: 1 - level for i, level in enumerate(expected)})
    both = planned(replace(IDENTITY, max=0.9)).due["identity"]
    halved = levels((16, 32, 48, 64), SPENT * 0.025)
    assert both == pytest.approx({i: 1 - 2 * level for i, level in enumerate(halved)})


def test_a_share_of_images_spends_all_of_its_error() -> None:
    due = planned(replace(CLIP, metric="arcface", stat="missing")).due["clip"]
    assert due == pytest.approx({i: 1 - level for i, level in enumerate(levels((16, 32, 48, 64), 0.05))})


@pytest.mark.parametrize("gain", [False, True])
def test_the_mean_of_a_two_valued_metric_spends_what_a_share_does(gain: bool) -> None:
    flat = Threshold("flat", "flat", "w", max=0.5, rule="bound", gain=gain)
    expected = {i: 1 - level for i, level in enumerate(levels((16, 32, 48, 64), 0.05))}
    assert planned(flat).due["flat"] == pytest.approx(expected)
    averaged = replace(flat, metric="authenticity", pairing="mean")  # each value is of several numbers then
    assert planned(averaged).due["flat"] == planned(replace(IDENTITY, name="flat")).due["flat"]


def test_rows_by_value_and_distances_of_sets_are_due_at_the_policys_own_number_only() -> None:
    due = planned(PLAIN, FID, KID).due
    assert due["plain"] == due["fid"] == {1: 0.95}
    assert list(due["kid"]) == [0, 1, 2, 3]


def test_a_tags_row_is_due_where_there_are_enough_prompts_of_it_and_more_images() -> None:
    of = said(24, 1, arms=8)
    due = planned(IDENTITY, replace(IDENTITY, name="leak", on="unrelated"), of=of, most=96).due
    assert [len(look.prompts) for look in planned(IDENTITY, of=of, most=96).looks] == [24, 32, 32, 32]
    assert list(due["identity"]) == [0, 1, 2, 3]
    assert list(due["leak"]) == [1, 2, 3]  # six of its eight prompts are in the first look


def test_a_tags_row_is_not_due_again_where_a_look_brings_it_nothing_new() -> None:
    """The row has eight prompts in the first look, four more in the second and none in the third."""
    of = said(64, 1)
    looks = planned(IDENTITY, of=of, most=128).looks
    assert [(len(look.prompts), len(look.seeds)) for look in looks] == [(32, 1), (48, 1), (64, 1), (64, 2)]
    first, second = ([prompt.id for prompt in look.prompts] for look in looks[:2])
    rare = {*first[:8], *[name for name in second if name not in first][:4]}
    tagged = tuple(replace(p, tags=("rare",) if p.id in rare else ()) for p in of.prompts)
    due = planned(replace(IDENTITY, on="rare"), of=replace(of, prompts=tagged), most=128).due["identity"]
    expected = levels((8, 12, 24), SPENT * 0.05)
    assert due == pytest.approx({i: 1 - level for i, level in zip((0, 1, 3), expected, strict=True)})


def test_too_few_prompts_for_an_interval_leave_the_policys_own_look() -> None:
    assert planned(IDENTITY, of=said(6, 2), most=24).due["identity"] == {1: 0.95}


def test_less_than_the_policys_own_images_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--lora-until-decided: the policy's 16 prompts x 2 seeds are 32 images"
    ):
        planned(IDENTITY, most=31)


Value = Callable[[Threshold, str], float]


def run(
    plan: until_decided.Plan, rows: list[Threshold], value: Value
) -> tuple[until_decided.Decided, list[int]]:
    """Decide on images whose value is ``value(row, prompt/seed)``; also how many images each look had."""
    sizes = []

    def make(look: PromptSet) -> ImageSet:
        names = [(prompt, seed) for prompt in look.prompts for seed in look.seeds]
        sizes.append(len(names))
        files = [ImageFile(Path("x"), "", f"{prompt.id}/{seed}", prompt, seed) for prompt, seed in names]
        return ImageSet("candidate", tuple(files))

    def measure(row: Threshold, images: ImageSet, confidence: float, waiting: str) -> Measurement:
        values = np.array([value(row, image.name) for image in images.images])
        there = ~np.isnan(values)
        means = values.reshape(len({image.prompt for image in images.images}), -1).mean(axis=1)
        found = mean_interval(means, 1 - confidence) if there.all() else (0.0, 0.6, 0.9)
        return Measurement(
            row.metric, "mean", float(values[there].mean()), int(there.sum()), int((~there).sum()), "higher",
            "net", "net", low=found[1], high=found[2], prompts=16, sides=1, waiting=waiting,
        )  # fmt: skip

    return until_decided.decide(plan, rows, LORA, make, measure), sizes


def spread(centre: float, by: float = 0.1) -> Value:
    return lambda _, name: centre + by * ((hash_of(name) % 1000) / 500 - 1)


def hash_of(name: str) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(name)) * 2654435761 % 2**32


def outcomes(found: until_decided.Decided, rows: list[Threshold]) -> list[str]:
    return [judge(found.of(row), row, LORA).outcome.value for row in rows]


def test_a_clearly_good_lora_costs_one_look() -> None:
    found, sizes = run(planned(IDENTITY), [IDENTITY], spread(0.8))
    assert (outcomes(found, [IDENTITY]), sizes) == (["PASS"], [16])


def test_a_clearly_bad_lora_costs_one_look_and_the_other_rows_are_left_open() -> None:
    rows = [IDENTITY, PLAIN]
    found, sizes = run(planned(*rows), rows, spread(0.3))
    assert (outcomes(found, rows), sizes) == (["FAIL", "INCONCLUSIVE"], [16])
    assert found.of(PLAIN).waiting == "'identity' had ruled the LoRA out after 16 images"


def test_rows_by_value_take_the_policys_own_number() -> None:
    rows = [IDENTITY, PLAIN]
    found, sizes = run(planned(*rows), rows, spread(0.8))
    assert (outcomes(found, rows), sizes) == (["PASS", "PASS"], [16, 32])
    assert (found.of(IDENTITY).n, found.of(PLAIN).n) == (16, 32)


def test_at_the_limit_everything_is_spent_and_the_row_stays_open() -> None:
    found, sizes = run(planned(IDENTITY), [IDENTITY], spread(0.5, 0.3))
    assert (outcomes(found, [IDENTITY]), sizes) == (["INCONCLUSIVE"], [16, 32, 48, 64])


def test_a_decision_is_kept_when_later_images_disagree() -> None:
    def falling(row: Threshold, name: str) -> float:
        seed = int(name.rpartition("/")[2])
        return spread(0.8 if seed == 0 else 0.0, 0.05)(row, name) if row.name == "identity" else 0.9

    rows = [IDENTITY, PLAIN]
    found, sizes = run(planned(*rows), rows, falling)
    assert (outcomes(found, rows), sizes) == (["PASS", "PASS"], [16, 32])


def test_optional_rows_neither_prolong_nor_end_the_spending() -> None:
    failing = replace(CLIP, required=False)
    for required, looks in ((IDENTITY, [16]), (PLAIN, [16, 32])):
        rows = [failing, required]
        found, sizes = run(planned(*rows), rows, spread(0.8))
        assert (outcomes(found, rows), sizes) == (["FAIL", "PASS"], looks)
    undecided = replace(PLAIN, required=False)
    found, sizes = run(planned(IDENTITY, undecided), [IDENTITY, undecided], spread(0.8))
    assert sizes == [16]
    assert found.of(undecided).waiting == "the other rows were decided"


def test_missing_images_rule_nothing_out_before_the_last_look() -> None:
    rows = [replace(IDENTITY, max_missing=0.05)]
    found, sizes = run(planned(*rows), rows, lambda _, name: np.nan if name == "p3/0" else 0.8)
    assert (outcomes(found, rows), sizes) == (["PASS"], [16, 32])


def test_missing_images_rule_out_at_the_last_look() -> None:
    rows = [replace(IDENTITY, max_missing=0.05)]
    found, sizes = run(planned(*rows), rows, lambda _, name: np.nan if "p3/" in name else 0.8)
    assert (outcomes(found, rows), sizes) == (["FAIL"], [16, 32, 48, 64])
    assert judge(found.of(rows[0]), rows[0], LORA).reason.startswith("no face in 4 of 64 images")


def test_a_row_that_stays_open_at_its_only_look_prolongs_nothing() -> None:
    rows = [IDENTITY, replace(FID, max=0.5)]
    found, sizes = run(
        planned(*rows), rows, lambda row, name: spread(0.8 if row is IDENTITY else 0.5, 0.3)(row, name)
    )
    assert (outcomes(found, rows), sizes) == (["PASS", "INCONCLUSIVE"], [16, 32])
    assert (found.of(rows[1]).n, found.of(rows[1]).waiting) == (32, "")


def test_as_many_missing_images_as_the_row_allows_do_not_prolong() -> None:
    """29 of 100 is not more than 0.29, although 0.29 as a binary number is a little less."""
    assert 29 > 0.29 * 100
    row = replace(IDENTITY, max_missing=0.29)
    absent = {*(f"p{i}/0" for i in range(25)), *(f"p{i}/1" for i in range(4))}
    found, sizes = run(
        planned(row, of=said(25, 4), most=200), [row], lambda _, name: np.nan if name in absent else 0.8
    )
    assert (outcomes(found, [row]), sizes) == (["PASS"], [50, 75, 100])


def test_an_error_rules_out_and_is_raised_for_its_row() -> None:
    def broken(row: Threshold, _: str) -> float:
        if row.name == "identity":
            raise MeasureError("no face anywhere")
        return 0.1

    rows = [IDENTITY, PLAIN]
    found, sizes = run(planned(*rows), rows, broken)
    assert sizes == [16]
    with pytest.raises(MeasureError, match="no face anywhere"):
        found.of(IDENTITY)
