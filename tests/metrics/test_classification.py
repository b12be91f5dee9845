"""Classification accuracy score against a plain script of scikit-learn, and where the answer is known."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.metrics.classification import _in_span, cas, interval, probe, regression
from lora_checks.metrics.labelled import Labels
from lora_checks.stats.shares import clopper_pearson

pytest.importorskip("sklearn", reason="scikit-learn is not installed")
CLASSES = ("healthy", "mild", "severe")


def pictures(
    seed: int, groups: int, each: int, apart: float, wide: int = 12, of: tuple[str, ...] = CLASSES
) -> tuple[np.ndarray, Labels]:
    """Features around one point for each class; ``groups`` of each class, with an offset of their own."""
    rng = np.random.default_rng(seed)
    rows, names, ids = [], [], []
    for k, name in enumerate(of):
        for group in range(groups):
            centre = apart * np.eye(wide)[k] + rng.normal(0, 0.3, wide)
            rows.append(centre + rng.normal(0, 1, (each, wide)))
            names += [name] * each
            ids += [f"{name}-{group}"] * each
    return np.concatenate(rows), Labels(np.array(names), np.array(ids))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("apart", [1.5, 3.0])
def test_it_is_what_a_plain_script_computes(seed: int, apart: float) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    (x, of_x), (y, of_y) = pictures(seed, 6, 3, apart), pictures(seed + 10, 12, 4, apart)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    made = balanced_accuracy_score(of_y.names, model.fit(x, of_x.names).predict(y))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    told = cross_val_predict(model, y, of_y.names, groups=of_y.groups, cv=folds)
    assert cas(x, y, of_x, of_y) == pytest.approx(made / balanced_accuracy_score(of_y.names, told), abs=1e-12)


def test_classes_that_are_apart_give_one_and_no_more_certainty_than_their_groups() -> None:
    (x, of_x), (y, of_y) = pictures(0, 6, 2, 40.0), pictures(1, 10, 3, 40.0)
    assert cas(x, y, of_x, of_y) == 1
    low, high = interval(x, y, of_x, of_y, 0.05) or (0, 0)
    assert low == pytest.approx(clopper_pearson(30, 30, 0.05)[0])
    assert high == pytest.approx(1, abs=0.01)


def test_images_whose_labels_mean_nothing_teach_guessing() -> None:
    (x, of_x), (y, of_y) = pictures(0, 10, 4, 6.0), pictures(1, 12, 5, 6.0)
    mixed = Labels(np.random.default_rng(2).permutation(of_x.names), of_x.groups)
    assert cas(x, y, of_x, of_y) == pytest.approx(1, abs=0.02)
    assert cas(x, y, mixed, of_y) < 0.65
    low, high = interval(x, y, mixed, of_y, 0.05) or (0, 0)
    assert low < cas(x, y, mixed, of_y) < high < 0.9


def test_a_network_that_knows_the_patient_and_not_the_label_is_no_classifier() -> None:
    """Split by picture, the same classifier would be right about nearly every one of them."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, (40, 60))
    patients = np.repeat(np.arange(40), 6)
    names = np.array(CLASSES[:2])[rng.permutation(np.arange(40) % 2)[patients]]
    y = centres[patients] + rng.normal(0, 0.5, (240, 60))
    x, of_x = pictures(1, 6, 3, 3.0, wide=60, of=CLASSES[:2])
    with pytest.raises(
        MeasureError, match=r"accuracy of 0\.\d\d on others, and guessing has 0.50: .* says nothing"
    ):
        cas(x, y, of_x, Labels(names, patients.astype(str)))
    alone = Labels(names, np.arange(240).astype(str))
    assert cas(x, y, of_x, alone) < 0.8  # it found an accuracy near 1 to divide by


def test_the_draws_are_fitted_in_the_span_of_the_images() -> None:
    (x, of_x), (y, _) = pictures(0, 3, 3, 3.0, wide=200), pictures(1, 6, 3, 3.0, wide=200)
    short, short_y = _in_span(x, y)
    assert short.shape == (27, 27)
    whole, again = probe().fit(x, of_x.names), regression().fit(short, of_x.names)
    np.testing.assert_allclose(again.decision_function(short_y), whole.decision_function(y), atol=0.03)
    assert (again.predict(short_y) == whole.predict(y)).mean() > 0.97


def test_too_few_prompts_have_no_interval() -> None:
    y, of_y = pictures(1, 6, 3, 6.0)
    x, of_x = pictures(0, 2, 4, 6.0)
    assert interval(x, y, of_x, of_y, 0.05) is None
    x, of_x = pictures(0, 3, 4, 6.0)
    assert interval(x, y, of_x, of_y, 0.05) is not None


def test_what_cannot_be_measured_says_why() -> None:
    (x, of_x), (y, of_y) = pictures(0, 6, 2, 6.0), pictures(1, 6, 2, 6.0)
    one = Labels(np.full(len(y), "mild"), of_y.groups)
    with pytest.raises(MeasureError, match="all real pictures are labelled 'mild'; it needs two labels"):
        cas(x, y, of_x, one)
    with pytest.raises(MeasureError, match="one side alone has the label 'healthy'"):
        cas(x[12:], y, of_x.of(np.arange(12, 36)), of_y)
    few, of_few = pictures(1, 4, 2, 6.0)
    with pytest.raises(MeasureError, match="'healthy' has real pictures of 4 groups, and needs 5"):
        cas(x, few, of_x, of_few)
    broken = y.copy()
    broken[3] = np.nan
    with pytest.raises(MeasureError, match="1 of 36 images have no usable features"):
        cas(x, broken, of_x, of_y)


def test_without_scikit_learn_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(PrerequisiteError, match=r"cas needs scikit-learn; pip install 'lora-checks\[cas\]'"):
        probe()
