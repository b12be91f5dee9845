"""Means of two-valued images have the interval of a share of images, and no narrower one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS
from PIL import Image
from scipy import stats as reference

from lora_checks import metrics
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageSet, Lora, Measurement, Metric, Prompt, Threshold
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.judge.verdict import judge
from lora_checks.record.regression.changes import change
from lora_checks.stats import shares, two_valued

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
NONE_OF_25 = 1 - 0.05 ** (1 / 25)  # at most, at 95 %


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    for name in ("flat", "clip_choice", "authenticity"):
        metrics.get(name)
    before = dict(metrics._declared)
    yield
    metrics._declared.clear()
    metrics._declared.update(before)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., ImageSet]:
    """Draw pictures of noise, some of them plain, each with its own prompt."""

    def draw(name: str, count: int, plain: int = 0) -> ImageSet:
        files = []
        for i in range(count):
            pixels = np.random.RandomState(i + len(name)).randint(1, 250, (8, 8, 3)).astype(np.uint8)
            path = tmp_path / f"{name}-{i}.png"
            Image.fromarray(np.full_like(pixels, 99) if i < plain else pixels).save(path)
            files.append(image_file(path, f"p{i:02}/1", Prompt(f"p{i:02}", "a"), 1))
        return ImageSet(name, tuple(files))

    return draw


def own(fn: Callable[..., Any], **settings: Any) -> Metric:
    def mine(picture: Any) -> Any:
        return fn(picture)

    said: dict[str, Any] = {"extractor": "", "against": "nothing", "per": "image", "better": "lower"}
    metrics.metric(**{**said, "range": (0, math.inf), "takes": "picture", **settings})(mine)
    return metrics.get("mine")


def is_plain(picture: Any) -> Any:
    return picture.std() < 3


METRICS: dict[str, Callable[[], Metric]] = {
    "flat": lambda: metrics.get("flat"),
    "own, declared": lambda: own(lambda p: float(is_plain(p)), range=(0, 1), two_valued=True),
    "own, a truth value": lambda: own(lambda p: is_plain(p)),
    "own, by its range": lambda: own(lambda p: 1 if is_plain(p) else 0, range=(0, 1)),
    "own, by its values": lambda: own(lambda p: float(is_plain(p)), range=(-5, math.inf)),
}


def found(metric: Metric, images: ImageSet, store: Path, **task: Any) -> Measurement:
    return measure(Task(metric, images, sides=1, **task), None, PROMPTS, Store(store))


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("plain", "outcome"), [(0, "INCONCLUSIVE"), (1, "INCONCLUSIVE"), (20, "FAIL")])
def test_a_row_on_a_two_valued_metric_is_judged_as_the_share_is(
    name: str, plain: int, outcome: str, pictures: Any, tmp_path: Path
) -> None:
    got = found(METRICS[name](), pictures("candidate", 25, plain), tmp_path)
    exact = shares.clopper_pearson(plain, 25, 0.05)
    assert (got.value, got.low, got.high) == pytest.approx((plain / 25, *exact), abs=1e-9)
    row = Threshold("sound", got.metric, "w", max=0.1, rule="bound")
    assert judge(got, row, LORA).outcome == outcome
    loose = judge(got, replace(row, max=0.115), LORA)
    assert (loose.outcome == "PASS") == (plain == 0)


@pytest.mark.parametrize("name", METRICS)
def test_a_gain_that_no_image_shows_is_not_certain(name: str, pictures: Any, tmp_path: Path) -> None:
    """The shares that go up and down have an exact bound each, at half the error."""
    images, base = pictures("candidate", 25), pictures("baseline", 25)
    got = found(METRICS[name](), images, tmp_path, baseline=base)
    most = 1 - 0.025 ** (1 / 25)
    assert (got.value, got.low, got.high) == pytest.approx((0, -most, most))
    up = found(METRICS[name](), pictures("candidates", 25, 25), tmp_path, baseline=base)
    assert (up.value, up.low, up.high) == pytest.approx((1, 1 - 2 * most, 1))


def test_a_third_number_of_a_declared_metric_is_an_error(pictures: Any, tmp_path: Path) -> None:
    metric = own(lambda p: 0.5 if is_plain(p) else 0.0, range=(0, 1), two_valued=True)
    with pytest.raises(
        MeasureError, match=r"mine is declared two_valued, .* 0 or 1, and it gave 0\.5; return"
    ):
        found(metric, pictures("candidate", 9, 1), tmp_path)
    assert found(metric, pictures("candidate", 9), tmp_path).high == pytest.approx(1 - 0.05 ** (1 / 9))


@pytest.mark.parametrize("settings", [{}, {"range": (0, 1), "per": "set"}])
def test_two_valued_needs_two_numbers_of_an_image(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'mine' is declared two_valued, so each image has one of the two"):
        own(is_plain, two_valued=True, **settings)


@pytest.mark.parametrize("name", ["flat", "clip_choice", "authenticity"])
def test_the_metrics_that_say_yes_or_no_are_declared_so(name: str) -> None:
    assert metrics.get(name).two_valued


@pytest.mark.parametrize(
    ("values", "span", "pair"),
    [
        ([0, 0, 1], (0, math.inf), (0, 1)),
        ([0, 0, 0], (0, math.inf), (0, 1)),
        ([1, 1, 1], (-math.inf, math.inf), (0, 1)),
        ([1, 1, 1], (-1, 1), (-1, 1)),
        ([2, 2, 2], (0, 2), (0, 2)),
        ([0, 2, 2], (0, 2), (0, 2)),
        ([0.2, 0.7], (0, 1), (0.2, 0.7)),
        ([0.7, 0.7], (0, 1), None),
        ([0, 0.5, 1], (0, 1), None),
        ([], (0, 1), None),
    ],
)
def test_the_two_numbers_follow_from_the_values(values: list[float], span: Any, pair: Any) -> None:
    assert two_valued.points(np.array(values, dtype=np.float64), span) == pair


def test_a_constant_that_is_no_end_of_its_range_is_certain(pictures: Any, tmp_path: Path) -> None:
    got = found(own(lambda p: 0.75 + 0 * p.size, range=(0, 1)), pictures("candidate", 25), tmp_path)
    assert (got.low, got.high, got.points) == (0.75, 0.75, None)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("alike", [0.2, 0.8])
def test_a_truth_at_the_limit_passes_in_at_most_5_percent(share: float, alike: float) -> None:
    """With the interval of a mean, 25 prompts of zeros and ones passed wrongly in 60, 29 and 7 % of runs."""
    rng, rest, wrong = np.random.default_rng(1), 1 / alike - 1, np.zeros(2)
    for chances in rng.beta(share * rest, (1 - share) * rest, size=(1000, 25)):
        values = (rng.random((25, 2)) < chances[:, None]).astype(float)
        for i, seeds in enumerate((1, 2)):
            names = [str(p) for p in range(25) for _ in range(seeds)]
            got = two_valued.interval(values[:, :seeds].ravel(), (0, 1), names, sides=1)
            assert got is not None
            wrong[i] += got.high < share
    assert (wrong / 1000 <= 0.05).all()


@pytest.mark.parametrize(("up", "down"), [(0.02, 0.0), (0.05, 0.05), (0.3, 0.1), (0.0, 0.1), (0.5, 0.5)])
def test_the_bounds_of_a_gain_err_at_most_as_often_as_they_say(up: float, down: float) -> None:
    rng, wrong = np.random.default_rng(2), np.zeros(2)
    names = [str(i) for i in range(25)]
    for _ in range(1000):
        moves = rng.choice([1.0, -1.0, 0.0], p=[up, down, 1 - up - down], size=25)
        got = two_valued.gain_interval(moves, 1, names, sides=1)
        assert got is not None
        wrong += (got.low > up - down, got.high < up - down)
    assert (wrong / 1000 <= 0.05).all()


def test_a_change_between_two_releases_that_no_image_shows_is_not_certain() -> None:
    rows = {f"p{i}/1": 0.0 for i in range(25)}
    m = Measurement("flat", "mean", 0, 25, 0, "lower", "n", "n", per_image=tuple(rows.items()))
    for points in (None, (0.0, 1.0)):
        moved = change(m, replace(m, points=points), sides=1)
        assert moved is not None
        assert (moved.low, moved.high) == pytest.approx((-(most := 1 - 0.025 ** (1 / 25)), most))
        gains = change(m, replace(m, points=(0.0, 1.0), gain=True), sides=1)
        assert gains is not None
        assert gains.high == pytest.approx(2 * most)  # from -1 to 1
        same = change(m, replace(m, points=points), sides=1, same=True)
        assert same is not None
        assert (same.low, same.high) == (0, 0)


def test_the_interval_of_two_numbers_is_the_scaled_one_of_the_share() -> None:
    values = np.array([0.2] * 20 + [0.7] * 5)
    got = two_valued.interval(values, (0.2, 0.7), [str(i) for i in range(25)])
    exact = reference.binomtest(5, 25).proportion_ci(method="exact")
    assert got == pytest.approx((0.3, 0.2 + 0.5 * exact.low, 0.2 + 0.5 * exact.high))
    assert two_valued.interval(values[:7], (0.2, 0.7), list("abcdefg")) is None
    assert two_valued.gain_interval(values[:7], 1, list("abcdefg")) is None
