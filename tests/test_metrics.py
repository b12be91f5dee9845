"""The built-in metrics as declared, and their arithmetic on numbers one can check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lora_checks import metrics
from lora_checks.errors import MeasureError
from lora_checks.metrics.adherence import clip_s, clip_score
from lora_checks.metrics.distribution import fid, frechet
from lora_checks.metrics.identity import arcface
from lora_checks.statistics_file import Moments

NAN = float("nan")


@pytest.mark.parametrize("name", metrics.BUILTIN)
def test_is_declared_where_the_table_says(name: str) -> None:
    metric = metrics.get(name)
    assert metric.name == name
    assert metric.fn.__module__ == metrics.BUILTIN[name]
    assert metric.fn.__doc__


def test_a_trunk_of_ones_own_is_never_measured_as_lpips_or_fid() -> None:
    assert metrics.get("lpips").extractor == "lpips"
    assert metrics.get("fid").extractor == "inception"
    assert {metrics.get(name).extractor for name in ("trunk_distance", "trunk_frechet")} == {"trunk"}


def test_arcface_compares_directions_and_keeps_missing_faces_missing() -> None:
    x = np.array([[2.0, 0.0], [NAN, NAN], [-1.0, 0.0]])
    y = np.array([[0.5, 0.0], [0.0, 3.0]])
    np.testing.assert_array_equal(arcface(x, y), [[1, 0], [NAN, NAN], [-1, 0]])


def test_clip_score_pairs_rows() -> None:
    x, y = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [-2.0, 0.0]])
    np.testing.assert_allclose(clip_score(x, y), [1, -1])
    np.testing.assert_allclose(clip_s(x, y), [2.5, 0])


def test_a_vector_without_direction_has_no_score() -> None:
    assert np.isnan(clip_score(np.zeros((1, 3)), np.ones((1, 3)))).all()


def test_clip_s_asks_for_the_prompt_in_its_own_words() -> None:
    assert metrics.get("clip_s").text.format("a dog") == "A photo depicts a dog"


def test_frechet_counts_the_images_it_cannot_use() -> None:
    x = np.random.default_rng(0).normal(size=(5, 8))
    broken = x.copy()
    broken[[1, 3], 0] = NAN
    with pytest.raises(MeasureError, match="2 of 5 images"):
        fid(broken, x)
    with pytest.raises(MeasureError, match="2 of 5 images"):
        fid(x, broken)


def test_frechet_needs_two_images_on_each_side() -> None:
    x = np.random.default_rng(0).normal(size=(5, 8))
    for few, other in ((x[:1], x), (x, x[:1]), (x[:0], x)):
        with pytest.raises(MeasureError, match="at least 2 images"):
            frechet(few, other)


def test_frechet_refuses_features_of_two_networks() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(MeasureError, match="8 dimensions and the reference statistics 6"):
        frechet(rng.normal(size=(5, 8)), rng.normal(size=(5, 6)))
    with pytest.raises(MeasureError, match="8 dimensions"):
        frechet(rng.normal(size=(5, 8)), Moments(np.zeros(6), np.eye(6)))
