"""A value that equals its limit passes, whatever it was stored in and however it was summed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_world import PROMPTS, Table, a_set
from PIL import Image

from lora_checks import metrics
from lora_checks.core.records import ImageSet, Lora, Measurement, Metric, Outcome, Prompt, Threshold
from lora_checks.core.store import Store
from lora_checks.images.decoding import image_file
from lora_checks.judge.measure import measure
from lora_checks.judge.task import task_of
from lora_checks.judge.verdict import band, judge, margin
from lora_checks.metrics.of_pixels import OfPixels

LORA = Lora(Path("a.safetensors"), "a", "ab" * 32, "diffusers", (4,), (4.0,), {"unet": 3}, 6)
LIMITS = (0.7, 0.1, 0.3, 0.55, 0.333, 12.3, -0.7)


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    before = dict(metrics._declared)
    yield
    metrics._declared.clear()
    metrics._declared.update(before)


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    files = []
    for i in range(30):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (8, 8), (i, i, i)).save(path)
        prompt = Prompt(f"p{i // 3:02}", "photo of sks person, smiling")
        files.append(image_file(path, f"{prompt.id}/{i % 3}", prompt, i % 3))
    return a_set("candidate", files)


def declared(fn: Callable[..., Any], **settings: Any) -> Metric:
    fn.__name__ = "mine"
    said: dict[str, Any] = {"extractor": "", "against": "nothing", "per": "image", "better": "higher"}
    metrics.metric(**{**said, "range": (-99, 99), "takes": "picture", **settings})(fn)
    return metrics.get("mine")


FEATURES = {"extractor": "trunk", "takes": "features"}


KINDS = (
    "a picture",
    "a picture, in float32",
    "features in float32",
    "features in float64",
    "a list",
    "a set",
    "a set in float32",
)


def kinds(limit: float) -> dict[str, Metric]:
    """Declare metrics that always give ``limit``, as users may write them."""
    return {
        "a picture": declared(lambda picture: limit + 0 * picture.size),
        "a picture, in float32": declared(lambda picture: np.float32(limit + 0 * picture.size)),
        "features in float32": declared(lambda x: x[:, 0], **FEATURES),
        "features in float64": declared(lambda x: np.full(len(x), limit), **FEATURES),
        "a list": declared(lambda x: [limit] * len(x), **FEATURES),
        "a set": declared(lambda x: np.full(len(x), limit).mean(), per="set", **FEATURES),
        "a set in float32": declared(lambda x: x[:, 0].max(), per="set", **FEATURES),
    }


def outcomes(metric: Metric, images: ImageSet, store: Path, limit: float, **row: Any) -> list[Outcome]:
    net = Table({i: [limit] for i in range(30)})
    found = []
    for sides in ({"min": limit}, {"max": limit}, {"min": limit, "max": limit}):
        asked = Threshold("row", "mine", "w", **sides, **row)
        measured = measure(task_of(asked, metric, images, None, None), net, PROMPTS, Store(store))
        found.append(judge(measured, asked, LORA).outcome)
    return found


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_metric_that_always_gives_its_limit_passes(
    kind: str, limit: float, images: ImageSet, tmp_path: Path
) -> None:
    metric = kinds(limit)[kind]
    for rule in ("estimate", "bound"):
        assert set(outcomes(metric, images, tmp_path, limit, rule=rule)) == {Outcome.PASS}, rule
    if metric.per == "image":
        for stat in ("min", "max", "median", "worst_prompt"):
            assert set(outcomes(metric, images, tmp_path, limit, stat=stat)) == {Outcome.PASS}, stat


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["a picture", "a picture, in float32", "features in float32"])
@pytest.mark.parametrize("stat", ["share_at_least", "share_at_most"])
def test_an_image_that_equals_what_a_share_counts_by_counts(
    kind: str, limit: float, stat: Any, images: ImageSet, tmp_path: Path
) -> None:
    row = Threshold("row", "mine", "w", min=1.0, stat=stat, at=limit)
    net = Table({i: [limit] for i in range(30)})
    found = measure(task_of(row, kinds(limit)[kind], images, None, None), net, PROMPTS, Store(tmp_path))
    assert found.value == 1
    assert judge(found, row, LORA).outcome == Outcome.PASS


def test_arrays_that_an_earlier_version_stored_in_float32_are_made_anew(
    images: ImageSet, tmp_path: Path
) -> None:
    metric, store = declared(lambda picture: 0.7 + 0 * picture.size), Store(tmp_path)
    for image in images.images[:20]:
        path = store.array(OfPixels(metric).id, image.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, np.array([0.7], np.float32))
    row = Threshold("row", "mine", "w", min=0.7, rule="bound")
    found = measure(task_of(row, metric, images, None, None), None, PROMPTS, store)
    assert judge(found, row, LORA).outcome == Outcome.PASS
    assert {value for _, value in found.per_image} == {0.7}


def test_a_gain_at_its_limit_passes(images: ImageSet, tmp_path: Path) -> None:
    """0.9 - 0.2 is a little less than 0.7, and 0.8 - 0.1 is a little more."""
    Image.new("RGB", (8, 8), (200, 200, 200)).save(tmp_path / "base.png")
    named = [(image.name, image.prompt, image.seed) for image in images.images]
    base = a_set("baseline", [image_file(tmp_path / "base.png", *names) for names in named])
    for ends in ((0.9, 0.2), (0.8, 0.1)):
        metric = declared(lambda p, ends=ends: ends[int(p.max() == 200)], version=str(ends[0]))
        for sides in ({"min": 0.7}, {"max": 0.7}):
            row = Threshold("row", "mine", "w", gain=True, **sides)
            found = measure(task_of(row, metric, images, None, base), None, PROMPTS, Store(tmp_path))
            assert judge(found, row, LORA).outcome == Outcome.PASS
            assert margin(found, row) == 0


def test_the_sentence_and_the_band_agree_with_the_outcome() -> None:
    m = Measurement("mine", "mean", 0.7 - 1e-16, 9, 0, "higher", "n", "n")
    row = Threshold("row", "mine", "w", min=0.7, bands=(("good", 0.7), ("poor", 0.1)))
    made = judge(m, row, LORA)
    assert made.outcome == Outcome.PASS
    assert "0.700 meets min 0.700" in made.reason
    assert (band(row, m), margin(m, row)) == ("good", 0)
    below = judge(replace(m, value=0.7 - 1e-7), row, LORA)
    assert below.outcome == Outcome.FAIL
    assert "0.6999999 is below min 0.7000000" in below.reason
