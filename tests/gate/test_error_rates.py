"""benchmarks/error_rates.py counts right: made-up images whose values, and so whose truth, are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from measure_world import PROMPTS

import benchmarks
from lora_checks.core.errors import MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Lora, Measurement, Prompt, Threshold
from lora_checks.stats import intervals

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
ROW = Threshold("identity", "arcface", "for this test", min=0.5)
OF_POOL = 40  # prompts
GATES = 400


@pytest.fixture(scope="module")
def rates() -> ModuleType:
    return benchmarks.load("error_rates")


def pool(rates: ModuleType, prompts: int = OF_POOL, seeds: int = 2) -> object:
    told = tuple(Prompt(f"p{i:04}", "words") for i in range(prompts))
    images = {
        p.id: tuple(ImageFile(Path("x"), "", f"{p.id}/{seed}", p, seed) for seed in range(seeds))
        for p in told
    }
    return rates.Pool(LORA, replace(PROMPTS, prompts=told), images)


def measured(value: Callable[[ImageFile], float]) -> Callable[..., Measurement]:
    """What a gate measures where each image has this value; each prompt's mean is an observation."""

    def measure(row: Threshold, on: ImageSet, confidence: float, waiting: str) -> Measurement:
        names = [image.prompt.id for image in on.images if image.prompt]
        values = np.array([value(image) for image in on.images])
        means = np.array([values[np.array(names) == name].mean() for name in dict.fromkeys(names)])
        found = intervals.mean_interval(means, 1 - confidence)
        return Measurement(
            row.metric, row.stat, float(values.mean()), len(values), 0, "higher", "net", "net",
            low=found.low, high=found.high, prompts=len(means), sides=1, waiting=waiting,
        )  # fmt: skip

    return measure


def half_good(image: ImageFile) -> float:
    assert image.prompt is not None
    return float(int(image.prompt.id[1:]) % 2)


def normal(centre: float) -> Callable[[ImageFile], float]:
    noise = np.random.default_rng(5).normal(centre, 0.1, 2000)
    noise += centre - noise.mean()
    return lambda image: float(noise[int(image.name[1:5])])


def test_a_gate_draws_each_prompt_once_and_as_many_of_its_images_as_it_asks_for(rates: ModuleType) -> None:
    drawn = rates.draw(np.random.default_rng(0), pool(rates), 16, 2)
    images = drawn.make(drawn.said).images
    assert len({image.name for image in images}) == 32
    assert len({image.prompt.id for image in images}) == 16


def test_passes_are_as_frequent_as_draws_without_replacement_make_them(rates: ModuleType) -> None:
    """20 prompts of 1 and 20 of 0, 16 drawn, mean of 0.5 to pass: eight or more of 1 (hypergeometric)."""
    found = rates.fixed(pool(rates), [ROW], (16, 1), (GATES, 0), measured(half_good))["estimate"]
    chance = sum(comb(20, k) * comb(20, 16 - k) for k in range(8, 17)) / comb(40, 16)
    assert found.share("PASS") + found.share("FAIL") == 1
    assert found.share("PASS") == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / GATES))
    assert found.stopped == {"identity": found.ends["FAIL"]}


def test_at_the_limit_a_bound_is_wrong_in_five_percent_a_side_and_an_estimate_in_half(
    rates: ModuleType,
) -> None:
    of = pool(rates, prompts=2000)
    found = rates.fixed(of, [ROW], (16, 1), (GATES, 0), measured(normal(0.5)))
    assert found["estimate"].share("PASS") == pytest.approx(0.5, abs=0.1)
    for end in ("PASS", "FAIL"):
        assert 0.02 <= found["bound"].share(end) <= 0.09
    looked = rates.sequential(
        of, [replace(ROW, rule="bound")], ((16, 2), 32), (GATES // 2, 0), measured(normal(0.5))
    )
    assert looked.share("PASS") <= 0.08
    assert looked.share("FAIL") <= 0.08


def test_what_is_clear_passes_or_fails_in_every_gate_and_stops_at_the_first_look(rates: ModuleType) -> None:
    for centre, end in ((1.5, "PASS"), (-0.5, "FAIL")):
        found = rates.fixed(pool(rates), [ROW], (16, 2), (20, 0), measured(normal(centre)))
        assert all(tally.share(end) == 1 and tally.spent == 32 for tally in found.values())
        rows = [replace(ROW, rule="bound")]
        looked = rates.sequential(pool(rates), rows, ((32, 1), 64), (20, 0), measured(normal(centre)))
        assert (looked.share(end), looked.spent) == (1, 16)


def test_one_row_that_fails_fails_the_gate_and_optional_rows_do_not(rates: ModuleType) -> None:
    rows = [ROW, replace(ROW, name="strict", min=2.0)]
    found = rates.fixed(pool(rates), rows, (16, 1), (5, 0), measured(normal(1.0)))
    assert all(tally.share("FAIL") == 1 and tally.stopped == {"strict": 5} for tally in found.values())
    rows[1] = replace(rows[1], required=False)
    found = rates.fixed(pool(rates), rows, (16, 1), (5, 0), measured(normal(1.0)))
    assert all(tally.share("PASS") == 1 for tally in found.values())


def test_what_cannot_be_measured_is_an_error_and_no_failure(rates: ModuleType) -> None:
    def refuse(*_: object) -> Measurement:
        raise MeasureError("no face was found")

    found = rates.fixed(pool(rates), [ROW], (16, 1), (5, 0), refuse)
    looked = rates.sequential(pool(rates), [replace(ROW, rule="bound")], ((32, 1), 64), (5, 0), refuse)
    assert all(tally.share("ERROR") == 1 for tally in (*found.values(), looked))


def test_the_same_seed_gives_the_same_gates(rates: ModuleType) -> None:
    first, again, other = (
        rates.fixed(pool(rates), [ROW], (16, 1), (50, seed), measured(half_good)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_prompts_are_fresh_and_ask_for_no_combination_that_was_trained_on(rates: ModuleType) -> None:
    known = next(iter(rates.grammar()))
    shown = "photo of a sks person in a blue shirt, smiling, teal background, serious"
    prompts = rates.fresh_prompts([known], [shown])
    texts = {prompt.text for prompt in prompts}
    assert len(texts) == len(prompts) == rates.PROMPTS
    assert known not in texts
    assert ("blue", "teal") not in set(map(rates.pair, texts))
    assert all(" sks person " in text for text in texts)
