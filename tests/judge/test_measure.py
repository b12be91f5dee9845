"""Measurements in closed form, on a network that reads its features from a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set, cosine_row
from PIL import Image

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Metric, Prompt
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.metrics import get
from lora_checks.stats.intervals import mean_interval

NAN = float("nan")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def picture(tmp_path: Path) -> Callable[..., ImageFile]:
    def draw(grey: int, prompt: str = "", seed: int = 1) -> ImageFile:
        path = tmp_path / f"{grey}.png"
        if not path.exists():
            Image.new("RGB", (8, 8), (grey, grey, grey)).save(path)
        asked = Prompt(prompt, "photo of sks person, smiling") if prompt else None
        return image_file(path, f"{prompt}/{seed}" if prompt else None, asked, seed if prompt else None)

    return draw


@pytest.fixture
def faces(picture: Callable[..., ImageFile]) -> tuple[ImageSet, ImageSet]:
    """Draw two images and two references."""
    candidate = a_set("candidate", [picture(10, "p1"), picture(11, "p2")])
    return candidate, a_set("references", [picture(20), picture(21)])


FACES = {10: cosine_row(0.6, 0.2), 11: cosine_row(0.3, 0.5), 20: [1, 0, 0], 21: [0, 1, 0], 30: [NAN] * 3}


@pytest.mark.parametrize(
    ("pairing", "stat", "value"),
    [
        ("nearest", "mean", 0.55),
        ("nearest", "min", 0.5),
        ("nearest", "max", 0.6),
        ("nearest", "median", 0.55),
        ("nearest", "missing", 0.0),
        ("mean", "mean", 0.4),
        ("mean", "max", 0.4),
        ("sorted", "mean", 0.55),
        ("sorted", "min", 0.5),
    ],
)
def test_pairings_and_statistics(
    faces: tuple[ImageSet, ImageSet], store: Store, pairing: Any, stat: Any, value: float
) -> None:
    task = Task(get("arcface"), *faces, stat=stat, pairing=pairing)
    found = measure(task, Table(FACES), PROMPTS, store)
    assert found.value == pytest.approx(value, abs=1e-6)
    assert (found.metric, found.stat, found.n, found.missing) == ("arcface", stat, 2, 0)
    assert found.against == "references (2)"
    assert (found.better, found.label, found.network) == ("higher", "a table", "arcface/1 table/1")


def test_nearest_says_which_reference_and_the_values_of_each_image(
    faces: tuple[ImageSet, ImageSet], store: Store
) -> None:
    found = measure(Task(get("arcface"), *faces), Table(FACES | {11: cosine_row(0.7, 0.5)}), PROMPTS, store)
    assert found.nearest == (("references/20.png", 2),)
    assert dict(found.per_image) == pytest.approx({"p1/1": 0.6, "p2/1": 0.7}, abs=1e-6)
    assert found.extremes == pytest.approx((0.6, 0.7), abs=1e-6)
    assert found.worst == ("p1", pytest.approx(0.6, abs=1e-6))


def test_for_a_distance_nearest_is_the_smallest(picture: Callable[..., ImageFile], store: Store) -> None:
    candidate = a_set("candidate", [picture(10, "p1"), picture(11, "p2")])
    references = a_set("train", [picture(20), picture(21)])
    table = Table({10: [1.0], 11: [4.0], 20: [0.5], 21: [3.0]})
    task = Task(get("trunk_distance"), candidate, references)
    found = measure(task, table, PROMPTS, store)
    assert found.value == pytest.approx((0.5 + 1.0) / 2)
    assert set(found.nearest) == {("train/20.png", 1), ("train/21.png", 1)}
    assert found.worst == ("p2", pytest.approx(1.0))
    unsaid = replace(task, metric=replace(task.metric, closer=""))  # less is better, so less is near
    assert measure(unsaid, table, PROMPTS, store) == found
    paired = measure(replace(task, pairing="sorted"), table, PROMPTS, store)
    assert paired.value == pytest.approx((0.5 + 1.0) / 2)
    everything = measure(replace(task, pairing="mean"), table, PROMPTS, store)
    assert everything.value == pytest.approx((0.5 + 2.0 + 3.5 + 1.0) / 4)


def test_the_worst_prompt_is_the_one_that_the_limit_is_about(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    """ "not a copy" has a minimum on a distance: there the nearest images are the worst, not the farthest."""
    candidate = a_set("candidate", [picture(10, "near"), picture(11, "far")])
    task = Task(get("trunk_distance"), candidate, a_set("train", [picture(20)]), wanted="higher")
    table = Table({10: [1.0], 11: [9.0], 20: [0.0]})
    assert measure(task, table, PROMPTS, store).worst == ("near", pytest.approx(1.0))
    assert measure(replace(task, wanted="lower"), table, PROMPTS, store).worst == (
        "far",
        pytest.approx(9.0),
    )


def test_sorted_needs_equally_many(picture: Callable[..., ImageFile], store: Store) -> None:
    candidate = a_set("candidate", [picture(10, "p1"), picture(11, "p2")])
    for metric in ("arcface", "trunk_distance"):
        task = Task(get(metric), candidate, a_set("references", [picture(20)]), pairing="sorted")
        with pytest.raises(ConfigError, match="there are 1 for 2; use pairing 'nearest'"):
            measure(task, Table(FACES), PROMPTS, store)


def test_a_missing_face_is_counted_and_is_no_zero(picture: Callable[..., ImageFile], store: Store) -> None:
    candidate = a_set("candidate", [picture(10, "p1"), picture(30, "p2")])
    references = a_set("references", [picture(20), picture(21)])
    found = measure(Task(get("arcface"), candidate, references), Table(FACES), PROMPTS, store)
    assert (found.n, found.missing) == (1, 1)
    assert found.value == pytest.approx(0.6, abs=1e-6)
    assert dict(found.per_image)["p2/1"] is None
    assert found.nearest == (("references/20.png", 1),)
    for pairing in ("mean", "sorted"):
        task = Task(get("arcface"), candidate, references, pairing=pairing)  # type: ignore[arg-type]
        assert measure(task, Table(FACES), PROMPTS, store).missing == 1
    share = measure(Task(get("arcface"), candidate, references, stat="missing"), Table(FACES), PROMPTS, store)
    assert (share.value, share.n, share.missing) == (0.5, 1, 1)


def test_no_face_in_any_image_is_an_error_but_a_share_of_one(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    candidate = a_set("candidate", [picture(30, "p1"), picture(30, "p2")])
    task = Task(get("arcface"), candidate, a_set("references", [picture(20)]))
    with pytest.raises(MeasureError, match=r"arcface: none of the 2 images .* \(no face was found in any\)"):
        measure(task, Table(FACES), PROMPTS, store)
    assert measure(replace(task, stat="missing"), Table(FACES), PROMPTS, store).value == 1.0


def test_a_reference_without_a_face_is_an_error_by_name(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    references = a_set("references", [picture(20), picture(30)])
    task = Task(get("arcface"), a_set("candidate", [picture(10, "p1")]), references)
    with pytest.raises(
        MeasureError, match=r"no face was found in 1 of 2 references: 30\.png; replace or remove"
    ):
        measure(task, Table(FACES), PROMPTS, store)


def test_the_scorer_is_told_the_class_words_and_not_the_trigger(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    candidate = a_set("candidate", [picture(10, "p1")])
    table = Table(
        FACES, {"photo of person, smiling": [1, 0, 0], "A photo depicts photo of person, smiling": [0, 1, 0]}
    )
    score = measure(Task(get("clip_score"), candidate), table, PROMPTS, store)
    assert score.value == pytest.approx(0.6, abs=1e-6)
    assert score.against == ""
    assert measure(Task(get("clip_s"), candidate), table, PROMPTS, store).value == pytest.approx(
        0.5, abs=1e-6
    )


def test_a_picture_without_a_prompt_has_no_prompt_adherence(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    with pytest.raises(ConfigError, match=r"clip_score needs the prompt of 20\.png"):
        measure(Task(get("clip_score"), a_set("references", [picture(20)])), Table(FACES), PROMPTS, store)


def test_the_interval_of_a_mean_is_that_of_the_prompt_means(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    """Two images of a prompt are one observation, not two."""
    cosines = np.random.default_rng(5).uniform(0, 0.9, (8, 2))
    table = Table({20: [1, 0], **{100 + i: cosine_row(c) for i, c in enumerate(cosines.flat)}})
    images = [picture(100 + i, f"p{i // 2}", i % 2) for i in range(16)]
    task = Task(get("arcface"), a_set("candidate", images), a_set("references", [picture(20)]))
    found = measure(task, table, PROMPTS, store)
    means = cosines.mean(axis=1)
    expected = mean_interval(means, 0.025)
    assert found.value == pytest.approx(means.mean(), abs=1e-6)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-5)
    assert (found.prompts, found.n) == (8, 16)


def test_seven_prompts_have_no_interval(picture: Callable[..., ImageFile], store: Store) -> None:
    table = Table({20: [1, 0], **{100 + i: cosine_row(i / 10) for i in range(7)}})
    images = [picture(100 + i, f"p{i}") for i in range(7)]
    task = Task(get("arcface"), a_set("candidate", images), a_set("references", [picture(20)]))
    found = measure(task, table, PROMPTS, store)
    assert (found.low, found.high) == (None, None)


def test_a_set_metric_has_its_plain_value_and_the_jackknifes_width(
    picture: Callable[..., ImageFile], store: Store
) -> None:
    """Along one line the Frechet distance is (difference of means)^2 + (difference of deviations)^2."""
    x, y = np.arange(9.0), np.array([3.0, 5.0, 10.0])
    table = Table({100 + i: [v, 1] for i, v in enumerate(x)} | {200 + i: [v, 1] for i, v in enumerate(y)})
    candidate = a_set("candidate", [picture(100 + i, f"p{i}") for i in range(9)])
    task = Task(get("trunk_frechet"), candidate, a_set("references", [picture(200 + i) for i in range(3)]))
    found = measure(task, table, PROMPTS, store)

    def frechet(kept: Any) -> float:
        return float((kept.mean() - y.mean()) ** 2 + (kept.std(ddof=1) - y.std(ddof=1)) ** 2)

    pseudo = np.array([9 * frechet(x) - 8 * frechet(np.delete(x, i)) for i in range(9)])
    around = mean_interval(pseudo, 0.025)
    assert found.value == pytest.approx(frechet(x), rel=1e-5)
    assert around.low - around.estimate + frechet(x) < 0
    assert found.low == 0  # no distance is below
    assert found.high == pytest.approx(around.high - around.estimate + frechet(x), rel=1e-4)
    assert (found.n, found.missing, found.stat, found.per_image) == (9, 0, "mean", ())


def test_a_set_metric_with_a_missing_row_is_an_error(picture: Callable[..., ImageFile], store: Store) -> None:
    table = Table({10: [1.0, 2.0], 11: [NAN, NAN], 12: [NAN, 1.0], 20: [1.0, 2.0], 21: [3.0, 1.0]})
    candidate = a_set("candidate", [picture(10, "a"), picture(11, "b"), picture(12, "c")])
    task = Task(get("trunk_frechet"), candidate, a_set("references", [picture(20), picture(21)]))
    with pytest.raises(MeasureError, match=r"2 of 3 images .*no features"):
        measure(task, table, PROMPTS, store)


def test_no_network_is_asked_twice_for_one_image(faces: tuple[ImageSet, ImageSet], store: Store) -> None:
    table = Table(FACES)
    first = measure(Task(get("arcface"), *faces), table, PROMPTS, store)
    assert table.asked == 4
    assert measure(Task(get("arcface"), *faces, pairing="nearest"), table, PROMPTS, store) == first
    measure(Task(get("arcface"), *faces, stat="min"), table, PROMPTS, store)
    assert table.asked == 4


def test_nothing_to_measure(store: Store, faces: tuple[ImageSet, ImageSet]) -> None:
    with pytest.raises(MeasureError, match="there are no images to measure"):
        measure(Task(get("arcface"), a_set("candidate", []), faces[1]), Table(FACES), PROMPTS, store)


def bad(fn: Callable[..., Any], per: Any = "image") -> Metric:
    return Metric("mine", fn, "arcface", "reference", per, "higher", (-1, 1))


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (bad(lambda _x, _y: np.array([np.inf, 1.0])), "mine: 1 values are infinite"),
        (
            bad(lambda _x, _y: np.array([1.0])),
            r"mine .*\(1,\).* 2 images .*\(2,\) or \(2, 2\)",
        ),
        (bad(lambda _x, _y: float("nan"), "set"), "mine: the value is nan"),
        (bad(lambda _x, _y: float("inf"), "set"), "mine: the value is inf"),
    ],
)
def test_a_metric_that_misbehaves_never_judges(
    faces: tuple[ImageSet, ImageSet], store: Store, metric: Metric, message: str
) -> None:
    with pytest.raises(MeasureError, match=message):
        measure(Task(metric, *faces), Table(FACES), PROMPTS, store)


def test_references_as_statistics_serve_set_metrics_only(
    faces: tuple[ImageSet, ImageSet], store: Store, tmp_path: Path
) -> None:
    (tmp_path / "stats.npz").touch()
    statistics = ImageSet("references", (), statistics=image_file(tmp_path / "stats.npz"))
    with pytest.raises(
        ConfigError, match=r"arcface compares with pictures, but .*stats\.npz holds statistics"
    ):
        measure(Task(get("arcface"), faces[0], statistics), Table(FACES), PROMPTS, store)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("metric", ["arcface", "lpips"])
def test_a_picture_exchanged_before_it_is_decoded_stores_nothing(
    faces: tuple[ImageSet, ImageSet], store: Store, metric: str, side: int
) -> None:
    """Otherwise later runs would use the other picture's features for this one, for ever."""
    known: dict[int, list[float]] = {10: [1.0], 11: [2.0], 20: [3.0], 21: [4.0], 30: [90.0]}
    exchanged = faces[side].images[0].path
    before = exchanged.read_bytes()
    Image.new("RGB", (8, 8), (30, 30, 30)).save(exchanged)
    with pytest.raises(MeasureError, match=f"{exchanged.name} changed while it was being used"):
        measure(Task(get(metric), *faces), Table(known), PROMPTS, store)
    exchanged.write_bytes(before)
    clean = measure(Task(get(metric), *faces), Table(known), PROMPTS, Store(store.root / "clean"))
    assert measure(Task(get(metric), *faces), Table(known), PROMPTS, store) == clean
