"""What a metric gets: siblings, named references, texts, parts of a row or pixels; and from which network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set, cosine_row
from PIL import Image

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import ImageFile, ImageSet, Prompt
from lora_checks.core.records.policies import Pairing
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.metrics import get
from lora_checks.networks import slot_of

NAN = float("nan")
Draw = Callable[..., ImageFile]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def picture(tmp_path: Path) -> Draw:
    def draw(grey: int, prompt: str = "", seed: int = 1, name: str = "") -> ImageFile:
        path = tmp_path / f"{name or grey}.png"
        if not path.exists():
            Image.new("RGB", (16, 16), (grey, grey, grey)).save(path)
        asked = Prompt(prompt, "photo of sks person, smiling") if prompt else None
        return image_file(path, f"{prompt}/{seed}" if prompt else None, asked, seed if prompt else None)

    return draw


def two_prompts(picture: Draw) -> ImageSet:
    """Draw two seeds of "p" and two of "q"."""
    return a_set(
        "candidate", [picture(10, "p", 1), picture(11, "p", 2), picture(12, "q", 1), picture(13, "q", 2)]
    )


POSITIONS = {10: [1.0], 11: [1.5], 12: [1.1], 13: [3.1]}


def test_diversity_is_among_the_seeds_of_one_prompt(picture: Draw, store: Store) -> None:
    """The images of p are 0.5 apart, those of q 2.0; that 10 and 12 are 0.1 apart must not count."""
    found = measure(Task(get("lpips_diversity"), two_prompts(picture)), Table(POSITIONS), PROMPTS, store)
    assert dict(found.per_image) == pytest.approx({"p/1": 0.5, "p/2": 0.5, "q/1": 2, "q/2": 2}, abs=1e-6)
    assert found.value == pytest.approx(1.25, abs=1e-6)
    assert found.worst == ("p", pytest.approx(0.5, abs=1e-6))  # the least various
    assert found.against == ""


def test_of_three_seeds_it_is_the_mean_unless_the_row_asks_for_the_nearest(
    picture: Draw, store: Store
) -> None:
    images = a_set("candidate", [picture(10, "p", 1), picture(11, "p", 2), picture(13, "p", 3)])
    metric = get("lpips_diversity")
    mean = measure(Task(metric, images), Table(POSITIONS), PROMPTS, store)
    assert dict(mean.per_image)["p/1"] == pytest.approx((0.5 + 2.1) / 2)
    nearest = measure(Task(metric, images, pairing="nearest"), Table(POSITIONS), PROMPTS, store)
    assert dict(nearest.per_image)["p/1"] == pytest.approx(0.5)  # near is small, though large is better


def test_a_prompt_with_one_seed_has_no_diversity(picture: Draw, store: Store) -> None:
    lone = [*two_prompts(picture).images, picture(12, "r", 1)]
    found = measure(Task(get("lpips_diversity"), a_set("candidate", lone)), Table(POSITIONS), PROMPTS, store)
    assert (found.n, found.missing) == (4, 1)
    with pytest.raises(MeasureError, match=r"none of the 1 images .* list two seeds or more"):
        measure(Task(get("lpips_diversity"), a_set("candidate", lone[-1:])), Table(POSITIONS), PROMPTS, store)


FACES = {10: cosine_row(1, 0), 11: cosine_row(0.6, 0.2), 12: cosine_row(0.8, 0), 13: cosine_row(0, 1)}


def test_the_nearest_other_image_is_the_most_similar_though_less_is_better(
    picture: Draw, store: Store
) -> None:
    found = measure(Task(get("nearest_other"), two_prompts(picture)), Table(FACES), PROMPTS, store)
    expected = {"p/1": 0.8, "p/2": 0.6 * 0.8 + 0.6 * np.sqrt(1 - 0.4), "q/2": 0.2}
    values = {name: value for name, value in found.per_image if name != "q/1"}
    assert values == pytest.approx(expected, abs=1e-6)
    assert found.better == "lower"
    assert found.nearest == ()
    among = measure(Task(get("nearest_sibling"), two_prompts(picture)), Table(FACES), PROMPTS, store)
    assert dict(among.per_image)["q/2"] == pytest.approx(0, abs=1e-6)


def test_clip_i_and_dino_are_the_mean_over_all_pairs_unless_the_row_says_otherwise(
    picture: Draw, store: Store
) -> None:
    references = a_set("references", [picture(10), picture(13)])
    images = a_set("candidate", [picture(11, "p")])
    for name in ("clip_i", "dino"):
        found = measure(Task(get(name), images, references), Table(FACES), PROMPTS, store)
        assert found.value == pytest.approx((0.6 + 0.2) / 2, abs=1e-6)
        nearest = Task(get(name), images, references, pairing="nearest")
        assert measure(nearest, Table(FACES), PROMPTS, store).value == pytest.approx(0.6, abs=1e-6)


def test_the_centroid_is_of_directions_and_not_the_nearest_reference(picture: Draw, store: Store) -> None:
    """A longer reference does not weigh more; midway between two at right angles is 45 degrees."""
    table = Table({10: [1, 0], 11: [9, 0], 13: [0, 1]})
    references = a_set("references", [picture(11), picture(13)])
    task = Task(get("arcface_centroid"), a_set("candidate", [picture(10, "p")]), references)
    assert measure(task, table, PROMPTS, store).value == pytest.approx(np.sqrt(0.5), abs=1e-6)


@pytest.mark.parametrize("metric", ["similarity", "trunk_distance"])
def test_named_pairs_each_image_with_the_picture_of_its_prompt(
    picture: Draw, store: Store, metric: str
) -> None:
    """This holds for features and for distances; the folder is in another order than the prompts."""
    references = a_set(
        "references", [picture(21, name="q"), picture(20, name="p"), picture(22, name="other")]
    )
    table = Table({10: [1, 1], 11: [1, 0], 12: [0, 1], 13: [1, 1], 20: [1, 0], 21: [0, 1], 22: [5, 5]})
    if metric == "trunk_distance":
        table = Table({10: [1], 11: [2], 12: [3], 13: [4], 20: [10], 21: [20], 22: [0]})
    task = Task(get(metric), two_prompts(picture), references, pairing="named")
    expected = [0.7071, 1, 1, 0.7071] if metric == "similarity" else [9, 8, 17, 16]
    found = measure(task, table, PROMPTS, store)
    assert [value for _, value in found.per_image] == pytest.approx(expected, abs=1e-4)


def test_named_says_which_prompt_has_no_picture(picture: Draw, store: Store) -> None:
    references = a_set("references", [picture(20, name="p")])
    for metric in ("similarity", "lpips", "ssim"):
        task = Task(get(metric), two_prompts(picture), references, pairing="named")
        with pytest.raises(ConfigError, match=r"'named' needs a picture .* references has none .*q"):
            measure(task, Table(FACES | {20: [1, 0, 0]}), PROMPTS, store)


def test_an_image_is_asked_which_of_the_rows_texts_it_shows(picture: Draw, store: Store) -> None:
    table = Table({10: [1, 0.9], 11: [0.9, 1]}, {"with glasses": [1, 0], "sks without": [0, 1]})
    images = a_set("candidate", [picture(10, "p"), picture(11, "q")])
    task = Task(get("clip_choice"), images, texts=("with glasses", "sks without"))
    found = measure(task, table, PROMPTS, store)
    assert dict(found.per_image) == {"p/1": 1, "q/1": 0}
    swapped = Task(get("clip_choice"), images, texts=("sks without", "with glasses"))
    assert dict(measure(swapped, table, PROMPTS, store).per_image) == {"p/1": 0, "q/1": 1}
    with pytest.raises(ConfigError, match=r"clip_choice chooses among texts: give the row .*texts"):
        measure(Task(get("clip_choice"), images), table, PROMPTS, store)


class Faces(Table):
    """A network from a table whose last column is the number of faces."""

    id = "faces/1"
    parts: Mapping[str, slice] = {"features": slice(0, -1), "faces": slice(-1, None)}

    def rows(self, pixels: Any) -> Any:
        return super().images(pixels)

    def images(self, pixels: Any) -> Any:
        return self.rows(pixels)[:, :-1]


def test_faces_and_their_embeddings_come_of_one_pass(picture: Draw, store: Store) -> None:
    table = Faces({10: [1, 0, 1], 11: [0.6, 0.8, 3], 12: [NAN, NAN, 0], 20: [1, 0, 1]})
    images = a_set("candidate", [picture(10, "p"), picture(11, "q"), picture(12, "r")])
    identity = measure(
        Task(get("arcface"), images, a_set("references", [picture(20)])), table, PROMPTS, store
    )
    assert (identity.value, identity.missing) == (pytest.approx(0.8), 1)
    most, least = (
        measure(Task(get("faces"), images, stat=stat), table, PROMPTS, store) for stat in ("max", "min")
    )
    assert (most.value, least.value, most.missing) == (3, 0, 0)  # no face is a number here
    assert table.asked == 4


def test_metrics_of_pixels_are_stored_and_paired_like_a_networks(picture: Draw, store: Store) -> None:
    images = a_set("candidate", [picture(100, "p"), picture(110, "q")])
    references = a_set("references", [picture(112), picture(101)])
    task = Task(get("psnr"), images, references)
    found = measure(task, None, PROMPTS, store)
    assert [value for _, value in found.per_image] == pytest.approx(
        [20 * np.log10(255), 20 * np.log10(127.5)], abs=1e-4
    )
    assert set(found.nearest) == {("references/101.png", 1), ("references/112.png", 1)}
    assert (found.label, found.network) == ("pixels", "psnr/1 pixels psnr/1 decoder=1")
    for image in (*images.images, *references.images):
        image.path.unlink()
    assert measure(task, None, PROMPTS, store) == found
    light = a_set("candidate", [picture(50, "p")])
    assert measure(Task(get("brightness"), light), None, PROMPTS, store).value == pytest.approx(50)


NETWORKS: dict[str, dict[str, Any]] = {
    "inception": {},
    "lpips": {"net": "alex"},
    "vgg": {"kind": "lpips", "net": "vgg"},
    "lesions": {"kind": "onnx", "file": "x.onnx"},
    "dino": {},
}


@pytest.mark.parametrize(
    ("metric", "asked", "slot"),
    [
        ("lpips", "", "lpips"),
        ("lpips", "vgg", "vgg"),
        ("fid", "", "inception"),
        ("frechet_distance", "lesions", "lesions"),
        ("polynomial_mmd", "dino", "dino"),
        ("psnr", "", ""),
    ],
)
def test_a_row_may_name_the_network(metric: str, asked: str, slot: str) -> None:
    assert slot_of(get(metric), asked, NETWORKS) == slot


@pytest.mark.parametrize(
    ("metric", "asked", "problem"),
    [
        ("fid", "dino", "fid needs a network of kind inception, and 'dino' is of kind dino"),
        ("kid", "lesions", "kid needs a network of kind inception, and 'lesions' is of kind onnx"),
        ("lpips", "dino", "lpips needs a network of kind lpips"),
        ("frechet_distance", "", "frechet_distance works on any network; say which with 'network: SLOT'"),
        ("similarity", "clip", "needs a network 'clip' under networks:"),
        ("clip_i", "", "needs a network 'clip' under networks:"),
        ("psnr", "dino", "psnr looks at pixels; remove 'network: dino'"),
    ],
)
def test_what_is_named_after_its_network_is_never_measured_by_another(
    metric: str, asked: str, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        slot_of(get(metric), asked, NETWORKS)


@pytest.mark.parametrize("name", ["psnr", "similarity", "trunk_distance"])
def test_against_the_base_each_image_meets_its_own_counterpart(
    picture: Draw, store: Store, name: str
) -> None:
    """This holds for pixels, features and distances, even where another image of the base is nearer."""
    images = a_set("candidate", [picture(100, "p"), picture(110, "q")])
    without = a_set("baseline", [picture(111, "p"), picture(102, "q")])
    table = Table({100: [1, 0], 110: [0, 1], 111: [0, 1], 102: [1, 0]})
    if name == "trunk_distance":
        table = Table({100: [0], 110: [1], 111: [1], 102: [0]})
    found = measure(Task(get(name), images, without), table, PROMPTS, store)
    expected = {"psnr": [20 * np.log10(255 / 11), 20 * np.log10(255 / 8)], "similarity": [0, 0]}
    assert [value for _, value in found.per_image] == pytest.approx(expected.get(name, [1, 1]), abs=1e-4)


def test_the_gain_of_a_metric_of_pixels(picture: Draw, store: Store) -> None:
    images, without = a_set("candidate", [picture(100, "p")]), a_set("baseline", [picture(90, "p")])
    found = measure(Task(get("brightness"), images, baseline=without), None, PROMPTS, store)
    assert found.value == pytest.approx(10)


def test_what_it_compares_with_is_compared_with_itself_too(picture: Draw, store: Store) -> None:
    """References lie at 0, 1 .. 7 and 9; the nearest other is 1 away, but 2 for the last one."""
    table = Table({10: [3.5], **{20 + i: [float(i)] for i in range(8)}, 29: [9.0]})
    references = a_set("references", [picture(20 + i) for i in (*range(8), 9)])
    images = a_set("candidate", [picture(10, f"p{i}", 1) for i in range(9)])
    found = measure(Task(get("lpips"), images, references), table, PROMPTS, store)
    assert (found.value, found.themselves) == pytest.approx((0.5, (8 * 1 + 2) / 9))
    apart = [abs(a - b) for a in (*range(8), 9) for b in (*range(8), 9) if a != b]
    found = measure(Task(get("lpips"), images, references, pairing="mean"), table, PROMPTS, store)
    assert found.themselves == pytest.approx(sum(apart) / len(apart))


def test_features_are_held_against_the_others_and_a_share_of_missing_ones_is_not(
    picture: Draw, store: Store
) -> None:
    """References are 10 degrees apart, so the nearest other is at 10 degrees; most are further away."""
    angles = np.radians(10 * np.arange(8))
    table = Table({10: [1, 0], **{20 + i: [np.cos(a), np.sin(a)] for i, a in enumerate(angles)}})
    task = Task(get("similarity"), a_set("candidate", [picture(10, "p")]), a_set("references", [
        picture(20 + i) for i in range(8)
    ]))  # fmt: skip
    apart = np.cos(angles[:, None] - angles)[~np.eye(8, dtype=bool)]
    for changes, expected in (
        ({}, np.cos(np.radians(10))),
        ({"pairing": "mean"}, apart.mean()),
        ({"stat": "missing"}, None),
        ({"metric": get("psnr")}, None),
    ):
        found = measure(replace(task, **changes), table, PROMPTS, store)
        assert found.themselves == (expected if expected is None else pytest.approx(expected, abs=1e-6))


@pytest.mark.parametrize("pairing", ["named", "sorted"])
def test_pictures_with_one_partner_each_have_no_such_yardstick(
    picture: Draw, store: Store, pairing: Pairing
) -> None:
    """The nearest of the others is no measure for the distance to the one partner, and is not computed."""
    table = Table({i: [float(i)] for i in range(20, 30)})
    references = a_set("references", [picture(20 + i, name=f"p{i}") for i in range(8)])
    images = a_set("candidate", [picture(20 + i, f"p{i}", 1) for i in range(8)])
    found = measure(Task(get("lpips"), images, references, pairing=pairing), table, PROMPTS, store)
    assert (found.value, found.themselves) == (0, None)
