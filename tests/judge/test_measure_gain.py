"""Gains over the base, images against their own counterparts, shares, worst prompts, arms and floors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set, cosine_row
from PIL import Image

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageFile, ImageSet, Metric, Prompt
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.metrics import get
from lora_checks.metrics.distribution import frechet
from lora_checks.metrics.kernels import polynomial
from lora_checks.policy import arms
from lora_checks.stats import floors
from lora_checks.stats.intervals import jackknife, mean_interval
from lora_checks.stats.shares import interval

NAN = float("nan")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., ImageFile]:
    def draw(grey: int, prompt: str = "", seed: int = 1, tags: tuple[str, ...] = ()) -> ImageFile:
        path = tmp_path / f"{grey}.png"
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(path)
        asked = Prompt(prompt, "photo of sks person", tags) if prompt else None
        return image_file(path, f"{prompt}/{seed}" if prompt else None, asked, seed if prompt else None)

    return draw


Sides = tuple[ImageSet, ImageSet, ImageSet]


@pytest.fixture
def sides(picture: Callable[..., ImageFile]) -> Sides:
    """Nine prompts with the LoRA (grey 10 to 18) and without (30 to 38), one reference (50)."""
    candidate = a_set("candidate", [picture(10 + i, f"p{i}") for i in range(9)])
    baseline = a_set("baseline", [picture(30 + i, f"p{i}") for i in range(9)])
    return candidate, baseline, a_set("references", [picture(50)])


WITH = np.linspace(0.5, 0.74, 9)
WITHOUT = np.array([0.1, 0.12, 0.05, 0.2, 0.1, 0.15, 0.11, 0.3, 0.02])


def table(**changes: Any) -> Table:
    rows = {10 + i: cosine_row(c) for i, c in enumerate(WITH)}
    rows |= {30 + i: cosine_row(c) for i, c in enumerate(WITHOUT)}
    return Table(rows | {50: [1.0, 0.0]} | {int(name[1:]): row for name, row in changes.items()})


def test_the_gain_is_paired_image_by_image(sides: Sides, store: Store) -> None:
    candidate, baseline, references = sides
    found = measure(Task(get("arcface"), candidate, references, baseline=baseline), table(), PROMPTS, store)
    gains = WITH - WITHOUT
    expected = mean_interval(gains, 0.025)
    assert (found.value, found.low, found.high) == pytest.approx(expected, abs=1e-6)
    assert [value for _, value in found.per_image] == pytest.approx(gains, abs=1e-6)
    assert (found.gain, found.n, found.missing) == (True, 9, 0)
    turned = measure(Task(get("arcface"), baseline, references, baseline=candidate), table(), PROMPTS, store)
    assert turned.value == pytest.approx(-found.value)


@pytest.mark.parametrize("grey", ["g12", "g32"])
def test_missing_on_either_side_is_missing(sides: Sides, store: Store, grey: str) -> None:
    candidate, baseline, references = sides
    task = Task(get("arcface"), candidate, references, baseline=baseline)
    found = measure(task, table(**{grey: [NAN, NAN]}), PROMPTS, store)
    assert (found.n, found.missing) == (8, 1)
    assert dict(found.per_image)["p2/1"] is None
    assert found.value == pytest.approx(np.delete(WITH - WITHOUT, 2).mean(), abs=1e-6)


def test_against_the_baseline_each_image_meets_its_own_counterpart(sides: Sides, store: Store) -> None:
    candidate, baseline, _ = sides
    found = measure(Task(get("arcface"), candidate, baseline), table(), PROMPTS, store)
    angles = np.arccos(WITH) - np.arccos(WITHOUT)
    assert [value for _, value in found.per_image] == pytest.approx(np.cos(angles), abs=1e-6)
    assert found.against == "baseline (9)"
    assert found.nearest == ()


def test_a_counterpart_without_a_face_is_a_missing_value_and_no_error(sides: Sides, store: Store) -> None:
    candidate, baseline, _ = sides
    found = measure(Task(get("arcface"), candidate, baseline), table(g33=[NAN, NAN]), PROMPTS, store)
    assert (found.n, found.missing) == (8, 1)


def test_distances_to_the_baseline_are_row_paired(sides: Sides, store: Store) -> None:
    candidate, baseline, _ = sides
    net = Table({10 + i: [float(i)] for i in range(9)} | {30 + i: [float(2 * i)] for i in range(9)})
    found = measure(Task(get("trunk_distance"), candidate, baseline), net, PROMPTS, store)
    assert [value for _, value in found.per_image] == pytest.approx(list(range(9)))


def line_metric(fn: Callable[..., float], **fields: Any) -> Metric:
    return Metric("mine", fn, "trunk", "reference", "set", "lower", (0, 1), **fields)


def test_the_gain_of_a_set_value_is_jackknifed_over_prompts_on_both_sides(sides: Sides, store: Store) -> None:
    candidate, baseline, references = sides
    task = Task(
        line_metric(lambda x, y: float((x.mean(0) @ y[0]) ** 2)), candidate, references, baseline=baseline
    )
    found = measure(task, table(), PROMPTS, store)

    def value_of(keep: Any) -> float:
        return float(WITH[keep].mean() ** 2 - WITHOUT[keep].mean() ** 2)

    expected = jackknife(value_of, [f"p{i}" for i in range(9)])
    assert expected is not None
    assert found.value == pytest.approx(WITH.mean() ** 2 - WITHOUT.mean() ** 2, abs=1e-6)
    assert found.high is not None
    assert found.low is not None
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=1e-4)
    assert (found.gain, found.floor) == (True, None)


def test_a_set_value_against_the_baseline_leaves_a_prompt_out_on_both_sides(
    sides: Sides, store: Store
) -> None:
    candidate, baseline, _ = sides
    seen = []

    def sizes(x: Any, y: Any) -> float:
        seen.append((len(x), len(y)))
        return float(abs(x - y).mean())

    measure(Task(line_metric(sizes), candidate, baseline), table(), PROMPTS, store)
    assert set(seen) == {(9, 9), (8, 8)}


def test_a_set_value_of_images_and_their_prompts_leaves_a_prompt_out_on_both_sides(
    sides: Sides, store: Store
) -> None:
    seen = []

    def sizes(x: Any, y: Any) -> float:
        seen.append((len(x), len(y)))
        return float(abs(x - y).mean())

    net = Table(table().features, {"photo of person": [1.0, 0.0]})
    metric = Metric("mine", sizes, "clip", "prompt", "set", "lower", (0, 9))
    measure(Task(metric, sides[0]), net, PROMPTS, store)
    assert set(seen) == {(9, 9), (8, 8)}


def test_an_unbiased_set_value_loses_the_likeness_of_a_prompts_images(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    """The two images of each prompt are equal, which plain KID mistakes for likeness within the set."""
    rng = np.random.default_rng(1)
    points = rng.normal(size=(12, 4))
    net = Table(
        {10 + i: points[i // 2].tolist() for i in range(24)}
        | {50 + i: rng.normal(size=4).tolist() for i in range(20)}
    )
    candidate = a_set("candidate", [picture(10 + i, f"p{i // 2}", i % 2) for i in range(24)])
    references = a_set("references", [picture(50 + i) for i in range(20)])
    y = np.array([net.features[50 + i] for i in range(20)], np.float32)
    found = measure(Task(get("kid"), candidate, references), net, PROMPTS, store)
    once = polynomial(points.astype(np.float32), y)
    twice = polynomial(np.repeat(points, 2, axis=0).astype(np.float32), y)
    assert twice - once > 0.05
    assert abs(found.value - once) < 0.1 * (twice - once)
    few = measure(
        Task(get("kid"), a_set("candidate", candidate.images[:14]), references), net, PROMPTS, store
    )
    seven = polynomial(np.repeat(points[:7], 2, axis=0).astype(np.float32), y)
    assert (few.value, few.low, few.high) == (pytest.approx(seven), None, None)  # too few prompts to tell


def test_shares_count_images_on_the_right_side_of_the_value(sides: Sides, store: Store) -> None:
    candidate, _, references = sides
    groups = [f"p{i}" for i in range(9)]
    task = Task(get("arcface"), candidate, references, stat="share_at_least", at=0.6, on="dark")
    found = measure(task, table(), PROMPTS, store)
    hits = WITH >= 0.6
    assert (found.value, found.low, found.high) == pytest.approx(interval(hits, groups))
    assert (found.stat, found.at, found.gain, found.on) == ("share_at_least", 0.6, False, "dark")
    below = measure(replace(task, stat="share_at_most"), table(), PROMPTS, store)
    assert below.value == pytest.approx(1 - found.value)


def test_the_worst_prompt_is_the_lowest_or_highest_mean_as_the_row_asks(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    candidate = a_set("candidate", [picture(10, "a", 1), picture(11, "a", 2), picture(12, "b", 1)])
    net = Table({10: cosine_row(0.9), 11: cosine_row(0.2), 12: cosine_row(0.5), 50: [1.0, 0.0]})
    task = Task(get("arcface"), candidate, a_set("references", [picture(50)]), stat="worst_prompt")
    found = measure(task, net, PROMPTS, store)
    assert found.value == pytest.approx(0.5, abs=1e-6)
    assert found.worst == ("b", found.value)
    assert (found.low, found.high) == (None, None)
    highest = measure(replace(task, wanted="lower"), net, PROMPTS, store)
    assert highest.worst == ("a", pytest.approx(0.55, abs=1e-6))


def test_one_sided_bounds_and_stricter_looks(sides: Sides, store: Store) -> None:
    candidate, _, references = sides
    task = Task(get("arcface"), candidate, references, sides=1)
    found = measure(task, table(), PROMPTS, store)
    expected = mean_interval(WITH, 0.05)
    assert (found.low, found.high, found.sides) == (
        pytest.approx(expected.low),
        pytest.approx(expected.high),
        1,
    )
    strict = measure(replace(task, confidence=0.99), table(), PROMPTS, store)
    assert strict.low == pytest.approx(mean_interval(WITH, 0.01).low)
    assert strict.confidence == 0.95  # what the looks together hold


def test_an_interval_does_not_leave_the_metrics_range(sides: Sides, store: Store) -> None:
    candidate, _, references = sides
    value = WITH.mean()
    free = mean_interval(WITH, 0.025)
    for least, most, low, high in (
        (0.0, 1.0, free.low, free.high),
        (value - 0.01, value + 0.02, value - 0.01, value + 0.02),
        (
            0.0,
            value - 0.1,
            free.low,
            value,
        ),  # a range that its own values leave is no reason to lose the value
    ):
        metric = Metric("mine", get("arcface").fn, "arcface", "reference", "image", "higher", (least, most))
        found = measure(Task(metric, candidate, references), table(), PROMPTS, store)
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-6)


def test_a_gain_and_a_share_are_no_values_of_the_metrics_range(sides: Sides, store: Store) -> None:
    """A gain may be below the range of a metric that starts at 0, and a share below one that starts at 2."""
    candidate, baseline, references = sides
    metric = Metric("mine", get("arcface").fn, "arcface", "reference", "image", "higher", (0, 1))
    found = measure(Task(metric, baseline, references, baseline=candidate), table(), PROMPTS, store)
    expected = mean_interval(WITHOUT - WITH, 0.025)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-6)
    higher = replace(metric, fn=lambda x, y: 2 + metric.fn(x, y), range=(2, 5))
    task = Task(higher, candidate, references, stat="share_at_least", at=2.6)
    share = interval(WITH >= 0.6, [f"p{i}" for i in range(9)])
    assert share is not None
    found = measure(task, table(), PROMPTS, store)
    assert (found.low, found.high) == pytest.approx((share.low, share.high))


def test_the_share_of_missing_images_has_an_interval(sides: Sides, store: Store) -> None:
    candidate, _, references = sides
    found = measure(Task(get("arcface"), candidate, references, stat="missing"), table(), PROMPTS, store)
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 9))


def test_a_row_without_on_is_about_no_arm(picture: Callable[..., ImageFile]) -> None:
    whole = a_set(
        "candidate",
        [
            picture(10, "a"),
            picture(11, "b", tags=("no-trigger",)),
            picture(12, "c", tags=("shirt=red", "unrelated")),
        ],
    )
    assert [image.name for image in arms.chosen(whole, "").images] == ["a/1"]
    assert [image.name for image in arms.chosen(whole, "no-trigger").images] == ["b/1"]
    assert [image.name for image in arms.chosen(whole, "shirt=red").images] == ["c/1"]
    with pytest.raises(ConfigError, match="every prompt is in an arm"):
        arms.chosen(arms.chosen(whole, "unrelated"), "")
    with pytest.raises(ConfigError, match="no prompt of these images is tagged 'shirt=blue'"):
        arms.chosen(whole, "shirt=blue")


def test_the_floor_is_below_what_perfect_images_measure() -> None:
    """With 64 dimensions of falling variance the floor is on the safe side, yet close to the truth."""
    rng = np.random.default_rng(2)
    scale = 1 / np.sqrt(np.arange(1, 65))
    references, perfect = (rng.normal(size=(n, 64)) * scale for n in (48, 40 * 48))
    floor = floors.floor(frechet, references, 48)
    reached = np.mean([frechet(perfect[i : i + 48], references) for i in range(0, len(perfect), 48)])
    assert floor is not None
    assert 0.5 * reached < floor < reached


def test_the_floor_needs_pictures_to_split() -> None:
    assert floors.floor(frechet, np.zeros((15, 2)), 48) is None
    assert floors.floor(frechet, np.zeros((16, 2)), 7) is None


def test_reseeded_images_are_halved_within_each_prompt() -> None:
    x = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert floors.reseeded(lambda a, b: float((b - a).sum()), x, ["a", "a", "b", "b"]) == 2.0
    assert floors.reseeded(frechet, x, ["a", "a", "b", "c"]) is None


def test_frechet_carries_its_floor_and_kid_has_none(picture: Callable[..., ImageFile], store: Store) -> None:
    rng = np.random.default_rng(3)
    net = Table({10 + i: rng.normal(size=3).tolist() for i in range(40)})
    candidate = a_set("candidate", [picture(10 + i, f"p{i}") for i in range(16)])
    references = a_set("references", [picture(30 + i) for i in range(20)])
    found = measure(Task(get("trunk_frechet"), candidate, references), net, PROMPTS, store)
    y = np.array([net.features[30 + i] for i in range(20)], np.float32)
    assert found.floor == pytest.approx(floors.floor(frechet, y, 16))
    assert measure(Task(get("kid"), candidate, references), net, PROMPTS, store).floor is None
