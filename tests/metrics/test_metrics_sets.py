"""Metrics of sets in closed form: equal sets, copies, orthogonal embeddings, and which way is better."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest

from lora_checks import metrics
from lora_checks.core.errors import MeasureError
from lora_checks.metrics.copies import authenticity, copy_ratio
from lora_checks.metrics.diversity import vendi
from lora_checks.metrics.kernels import cmmd_as_published, gaussian, polynomial
from lora_checks.metrics.neighbours import coverage, density, precision, radii, recall
from lora_checks.metrics.vectors import cosines, distances, unit

NAN = float("nan")
AGAINST_REFERENCES = [
    name
    for name in metrics.BUILTIN
    if metrics.get(name).per == "set" and metrics.get(name).against == "reference" and name != "cas"
]


def normal(n: int, seed: int, shift: float = 0.0, dimensions: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (n, dimensions))


@pytest.mark.parametrize("name", AGAINST_REFERENCES)
def test_a_set_far_away_is_worse_than_one_from_the_same_place(name: str) -> None:
    """A direction that is the wrong way round fails here."""
    metric = metrics.get(name)
    y = normal(60, 0, 1.0)
    near, far = metric.fn(normal(50, 1, 1.0), y), metric.fn(normal(50, 2, -1.0), y)
    assert near > far if metric.better == "higher" else near < far
    assert metric.range[0] <= min(near, far)
    assert max(near, far) <= metric.range[1]


@pytest.mark.parametrize("name", AGAINST_REFERENCES)
def test_the_order_of_the_images_means_nothing(name: str) -> None:
    x, y = normal(30, 0), normal(40, 1)
    fn, mix = metrics.get(name).fn, np.random.default_rng(2).permutation
    assert fn(mix(x), mix(y)) == pytest.approx(fn(x, y), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", AGAINST_REFERENCES)
def test_features_that_are_not_finite_are_counted(name: str) -> None:
    x, y = normal(10, 0), normal(10, 1)
    y[[2, 5], 3] = NAN
    for pair in ((x, y), (y, x)):
        with pytest.raises(MeasureError, match="2 of 10 images have no usable features"):
            metrics.get(name).fn(*pair)


@pytest.mark.parametrize("name", AGAINST_REFERENCES)
def test_features_of_two_networks_are_refused(name: str) -> None:
    with pytest.raises(MeasureError, match=r"8 dimensions and the .* 6"):
        metrics.get(name).fn(normal(10, 0, dimensions=8), normal(10, 1, dimensions=6))


def each_pair(kernel: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray) -> float:
    """Write out Gretton's unbiased estimate, pair by pair."""
    within = [np.mean([kernel(a, b) for a, b in itertools.permutations(s, 2)]) for s in (x, y)]
    return float(sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y]))


def test_kernel_distances_are_the_mean_over_pairs_of_different_images() -> None:
    x, y = normal(5, 0), normal(7, 1, 0.3)
    assert polynomial(x, y) == pytest.approx(each_pair(lambda a, b: (a @ b / 16 + 1) ** 3, x, y), rel=1e-9)
    directions = unit(x), unit(y)
    expected = 1000 * each_pair(lambda a, b: math.exp(-((a - b) ** 2).sum() / 200), *directions)
    assert gaussian(x, y) == pytest.approx(expected, rel=1e-8)


def test_unbiased_means_zero_on_average_for_one_distribution_whatever_the_number() -> None:
    """For 20 images and 20 others it is within four standard errors of 0; the published CMMD is far above."""
    for distance in (polynomial, gaussian):
        values = [distance(normal(20, 2 * i), normal(20, 2 * i + 1)) for i in range(200)]
        assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(200)
    biased = [cmmd_as_published(normal(20, 2 * i), normal(20, 2 * i + 1)) for i in range(200)]
    # 1000 (1 - E k) (1/N + 1/M); between random directions k is about exp(-1/100)
    assert np.mean(biased) == pytest.approx(1000 * (1 - math.exp(-0.01)) * 0.1, rel=0.05)


def test_the_published_cmmd_of_a_set_and_itself_is_zero() -> None:
    x = normal(9, 0)
    assert cmmd_as_published(x, x) == pytest.approx(0, abs=1e-9)
    assert polynomial(x, x) < 0  # the unbiased one is below: every image meets its copy across


def test_orthogonal_embeddings() -> None:
    """Among orthogonal directions k is 1 with itself and e^-0.01 with any other, so both sets are alike."""
    eye = np.eye(12)
    assert gaussian(eye[:6], eye[6:]) == pytest.approx(0, abs=1e-9)
    assert polynomial(eye[:6], eye[6:]) == pytest.approx(0, abs=1e-12)
    assert vendi(eye) == pytest.approx(12)
    np.testing.assert_allclose(metrics.get("similarity").fn(eye, eye), eye, atol=1e-12)


def test_neighbours_of_a_set_and_itself() -> None:
    x = normal(40, 0)
    assert precision(x, x) == recall(x, x) == coverage(x, x) == 1
    # each of the N balls of k = 5 holds its centre and the 4 nearer than the fifth
    assert density(x, x) == pytest.approx(1)


def test_precision_asks_for_the_images_and_recall_for_the_references() -> None:
    """Images from one of two clusters of references are all real and cover half; a swap fails here."""
    heap, other = normal(20, 0, dimensions=4), normal(20, 1, 50, dimensions=4)
    x, y = heap + 1e-3, np.concatenate([heap, other])
    assert (precision(x, y), recall(x, y)) == (1, 0.5)
    assert (precision(y, x), recall(y, x)) == (0.5, 1)
    assert coverage(x, y) == 0.5
    assert coverage(y, x) == 1
    assert density(x, y) > 0.9
    assert density(y, x) < 0.6


def test_a_distance_equal_to_the_radius_is_outside() -> None:
    """Points on a line, 1 apart: the radius for k = 3 is 2 in the middle, and a point at 2 is not inside."""
    line = np.arange(7.0)[:, None]
    np.testing.assert_array_equal(radii(line, 3), [3, 2, 2, 2, 2, 2, 3])
    assert precision(np.array([[9.0]]), line) == 0  # 3 from the end, whose radius is 3
    assert precision(np.array([[8.99]]), line) == 1
    assert [recall(line, np.array([[at]])) for at in (9, 8.99)] == [0, 1]
    assert [coverage(np.array([[at]]), line) for at in (11, 10.99)] == [0, 1 / 7]  # k = 5


def test_neighbours_need_more_images_than_k() -> None:
    with pytest.raises(MeasureError, match=r"3 nearest neighbours .* more than 3 images.* 3$"):
        precision(normal(9, 0), normal(3, 1))
    with pytest.raises(MeasureError, match=r"more than 3 images.* 3$"):
        recall(normal(3, 0), normal(9, 1))


@pytest.mark.parametrize(("copies", "kinds"), [(1, 8), (3, 5), (10, 1)])
def test_vendi_counts_different_images(copies: int, kinds: int) -> None:
    x = np.repeat(7 * np.eye(16)[:kinds], copies, axis=0)
    assert vendi(x) == pytest.approx(kinds)


def test_vendi_rises_with_variety() -> None:
    one = np.ones((20, 16)) + 0.01 * normal(20, 0)
    assert 1 <= vendi(one) < 1.1 < vendi(normal(20, 0)) <= 20


def test_too_few_images_for_a_set_are_an_error() -> None:
    x = normal(5, 0)
    for fn in (polynomial, gaussian):
        for pair in ((x[:1], x), (x, x[:1])):
            with pytest.raises(MeasureError, match=r"at least 2 images on each side.* 1$"):
                fn(*pair)
    with pytest.raises(MeasureError, match=r"at least 1 image on each side.* 0$"):
        vendi(x[:0])
    assert vendi(x[:1]) == pytest.approx(1)
    expected = each_pair(lambda a, b: (a @ b / 16 + 1) ** 3, x[:2], x[3:])
    assert polynomial(x[:2], x[3:]) == pytest.approx(expected)


def test_rounding_puts_no_cosine_beyond_1() -> None:
    x = normal(200, 0, dimensions=7)
    assert np.abs(unit(x) @ unit(x).T).max() > 1
    assert (cosines(x, 3 * x).max(), cosines(x, -x).min()) == (1, -1)


def test_euclidean_distances_are_exactly_zero_for_equal_rows() -> None:
    x = 1000 + normal(30, 0, dimensions=512)
    np.testing.assert_array_equal(np.diagonal(distances(x, x)), 0)
    expected = np.linalg.norm(x[:, None] - x[None], axis=2)
    np.testing.assert_allclose(distances(x, x), expected, rtol=0, atol=1e-3)


def angles(*degrees: float) -> np.ndarray:
    radians = np.radians(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1)


def test_the_copy_ratio_is_relative_to_the_nearest_pair_of_training_pictures() -> None:
    training = angles(0, 10, 90, 120)
    x = angles(0, 5, 105, 60)

    def chord(degrees: float) -> float:
        return 2 * math.sin(math.radians(degrees) / 2)

    expected = [0, chord(5) / chord(10), chord(15) / chord(30), chord(30) / chord(30)]
    np.testing.assert_allclose(copy_ratio(x, training), expected, atol=1e-9)
    np.testing.assert_array_equal(authenticity(angles(0, 5, 65, 150.1), training), [0, 0, 0, 1])
    x, y = np.array([[0.0, -1.0]]), np.eye(2)  # as far away as the two pictures from each other
    assert (copy_ratio(x, y), authenticity(x, y)) == (1, 0)


def test_the_copy_ratio_has_no_value_without_an_embedding() -> None:
    x = angles(5, 5)
    x[1] = NAN
    for fn in (copy_ratio, authenticity):
        assert np.isnan(fn(x, angles(0, 10))).tolist() == [False, True]


def test_training_pictures_that_are_one_picture_are_an_error() -> None:
    with pytest.raises(MeasureError, match="two training pictures are equal"):
        copy_ratio(angles(1, 89), angles(0, 0, 90, 91))
    with pytest.raises(MeasureError, match="needs 2 or more, not 1"):
        copy_ratio(angles(1), angles(0))


def test_swapping_images_and_training_pictures_changes_the_ratio() -> None:
    x, y = normal(10, 0), normal(12, 1)
    assert len(copy_ratio(x, y)) == 10
    assert len(copy_ratio(y, x)) == 12
