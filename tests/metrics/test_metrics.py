"""The built-in metrics as declared, and their arithmetic on numbers one can check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lora_checks import metrics
from lora_checks.core.errors import MeasureError
from lora_checks.metrics.adherence import clip_s, clip_score
from lora_checks.metrics.distribution import fid, frechet
from lora_checks.metrics.identity import arcface
from lora_checks.metrics.statistics_file import Moments

NAN = float("nan")


@pytest.mark.parametrize("name", metrics.BUILTIN)
def test_is_declared_where_the_table_says(name: str) -> None:
    metric = metrics.get(name)
    assert metric.name == name
    assert metric.fn.__module__ == metrics.BUILTIN[name]
    assert metric.fn.__doc__


# The better direction decides bands, worst prompts and rankings; intervals are cut to the range.
DECLARED = """
arcface arcface reference image higher nearest higher -1 1
arcface_centroid arcface reference image higher nearest higher -1 1
sface sface reference image higher nearest higher -1 1
sface_centroid sface reference image higher nearest higher -1 1
faces face nothing image lower nearest lower 0 inf
face_yaw face nothing image higher nearest higher -90 90
face_pitch face nothing image higher nearest higher -90 90
face_roll face nothing image higher nearest higher -180 180
face_yaw_spread face reference image higher nearest higher 0 inf
face_pitch_spread face reference image higher nearest higher 0 inf
clip_i clip reference image higher mean higher -1 1
dino dino reference image higher mean higher -1 1
similarity * reference image higher nearest higher -1 1
clip_score clip prompt image higher nearest higher -1 1
clip_s clip prompt image higher nearest higher 0 2.5
clip_choice clip texts image higher nearest higher 0 1
lpips lpips reference image lower nearest lower 0 inf
lpips_diversity lpips siblings image higher mean lower 0 inf
trunk_distance trunk reference image lower nearest lower 0 inf
ssim - reference image higher nearest higher -1 1
ms_ssim - reference image higher nearest higher 0 1
psnr - reference image higher nearest higher 0 59
fid inception reference set lower nearest lower 0 inf
trunk_frechet trunk reference set lower nearest lower 0 inf
frechet_distance * reference set lower nearest lower 0 inf
kid inception reference set lower nearest lower -inf inf
polynomial_mmd * reference set lower nearest lower -inf inf
cmmd clip reference set lower nearest lower -inf inf
rbf_mmd * reference set lower nearest lower -inf inf
precision * reference set higher nearest higher 0 1
recall * reference set higher nearest higher 0 1
density * reference set higher nearest higher 0 inf
coverage * reference set higher nearest higher 0 1
vendi * nothing set higher nearest higher 1 inf
nearest_other * nothing image lower nearest higher -1 1
nearest_sibling * siblings image lower nearest higher -1 1
copy_ratio * reference image higher nearest higher 0 inf
authenticity * reference image higher nearest higher 0 1
spectrum_low spectrum reference image lower nearest lower 0 inf
spectrum_middle spectrum reference image lower nearest lower 0 inf
spectrum_high spectrum reference image lower nearest lower 0 inf
fine_detail spectrum reference image higher nearest higher -inf inf
grid - nothing image lower nearest lower 0 inf
judge judge nothing image higher nearest higher 0 1
cas * reference set higher nearest higher 0 inf
sharpness - nothing image higher nearest higher 0 inf
brightness - nothing image higher nearest higher 0 255
contrast - nothing image higher nearest higher 0 127.5
clipped - nothing image lower nearest lower 0 1
flat - nothing image lower nearest lower 0 1
aesthetic aesthetic nothing image higher nearest higher -inf inf
unsafe safety nothing image lower nearest lower 0 1
"""


@pytest.mark.parametrize("line", DECLARED.strip().splitlines(), ids=lambda line: line.split()[0])
def test_is_declared_with_its_direction_and_range(line: str) -> None:
    """A line has network, against, per, better, pairing, closer, least and most."""
    name, *words, least, most = line.split()
    found = metrics.get(name)
    declared = [found.extractor or "-", found.against, found.per, found.better, found.pairing, found.closer]
    assert (declared, found.range) == (words, (float(least), float(most)))


def test_every_metric_is_in_the_table() -> None:
    assert [line.split()[0] for line in DECLARED.strip().splitlines()] == list(metrics.BUILTIN)
    unbiased = {name for name in metrics.BUILTIN if metrics.get(name).unbiased}
    moments = {name for name in metrics.BUILTIN if metrics.get(name).moments}
    assert unbiased == {"kid", "polynomial_mmd", "cmmd", "rbf_mmd"}
    assert moments == {"fid", "trunk_frechet", "frechet_distance"}


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


def test_clip_choice_is_1_only_where_the_first_text_is_ahead_of_every_other() -> None:
    texts = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    x = np.array([[3.0, 2.0, 1.0], [2.0, 2.0, 0.0], [2.0, 1.0, 3.0], [2.0, 3.0, 1.0], [NAN, 1.0, 1.0]])
    np.testing.assert_array_equal(metrics.get("clip_choice").fn(x, texts), [1, 0, 0, 0, NAN])


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
    with pytest.raises(MeasureError, match=r"8 dimensions and the references 6"):
        frechet(rng.normal(size=(5, 8)), rng.normal(size=(5, 6)))
    with pytest.raises(MeasureError, match="8 dimensions"):
        frechet(rng.normal(size=(5, 8)), Moments(np.zeros(6), np.eye(6)))


def test_the_faces_of_an_image_are_counted_and_none_is_zero() -> None:
    np.testing.assert_array_equal(metrics.get("faces").fn(np.array([[0.0], [1.0], [2.0]])), [0, 1, 2])


def test_the_centroid_weighs_every_reference_alike() -> None:
    y = np.array([[1.0, 0.0], [0.0, 100.0]])
    found = metrics.get("arcface_centroid").fn(np.array([[1.0, 1.0], [1.0, 0.0], [NAN, NAN]]), y)
    np.testing.assert_allclose(found, [1, np.sqrt(0.5), NAN])


WIDTH = 25  # of the rings of a spectrum, which some metrics take
PER_IMAGE = [
    name
    for name in metrics.BUILTIN
    if metrics.get(name).per == "image" and metrics.get(name).takes == "features"
]


@pytest.mark.parametrize("name", [name for name in PER_IMAGE if metrics.get(name).against == "reference"])
def test_better_is_nearer_to_references_except_where_near_is_a_copy(name: str) -> None:
    """A direction that is the wrong way round fails here."""
    rng = np.random.default_rng(0)
    metric, y = metrics.get(name), rng.normal(1, 0.1, (6, WIDTH))
    near, far = rng.normal(1, 0.1, (4, WIDTH)), rng.normal(-1, 0.1, (4, WIDTH))
    values = [np.nanmean(metric.fn(x, y)) for x in (near, far)]
    better_is_near = (values[0] > values[1]) == (metric.better == "higher")
    assert better_is_near == (name not in ("copy_ratio", "authenticity"))
    assert min(values) >= metric.range[0]
    assert max(values) <= metric.range[1]


@pytest.mark.parametrize("name", [name for name in PER_IMAGE if metrics.get(name).against == "reference"])
def test_a_shuffled_copy_of_the_references_is_as_near_as_they_are(name: str) -> None:
    y = np.random.default_rng(0).normal(size=(6, WIDTH))
    mixed = np.random.default_rng(1).permutation(6)
    metric = metrics.get(name)
    found = np.asarray(metric.fn(y[mixed], y))
    np.testing.assert_allclose(found, np.asarray(metric.fn(y, y))[mixed], atol=1e-9)
    if found.ndim == 2:
        np.testing.assert_allclose(found.max(axis=1), 1)
    if name in ("copy_ratio", "authenticity"):
        np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("name", [name for name in PER_IMAGE if name != "unsafe"])  # there it is an error
def test_an_image_without_features_has_no_value(name: str) -> None:
    metric = metrics.get(name)
    x, y = np.ones((3, WIDTH)), np.eye(WIDTH)[: 3 if metric.against == "prompt" else 4]
    x[1] = NAN
    found = np.asarray(metric.fn(x) if metric.against in ("nothing", "siblings") else metric.fn(x, y), float)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[0]).any()


@pytest.mark.parametrize("name", metrics.BUILTIN)
def test_each_says_what_it_takes_and_gives(name: str) -> None:
    metric = metrics.get(name)
    text = metric.fn.__doc__ or ""
    assert "->" in text
    assert metric.range[0] < metric.range[1]
    if name not in (
        "brightness",
        "faces",
        "fine_detail",
        "face_yaw",
        "face_pitch",
        "face_roll",
    ):  # good in the middle
        assert metric.better in text.lower()
