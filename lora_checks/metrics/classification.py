"""Can a classifier learn from the generated images what real pictures show?

Classification accuracy score (Ravuri & Vinyals 2019): a classifier is trained on generated images and tested
on real ones. Here it is a logistic regression on frozen features, and its accuracy is given as a ratio to
that of the same classifier trained on real pictures.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lora_checks.core.errors import MeasureError, PrerequisiteError
from lora_checks.core.words import count
from lora_checks.metrics import ANY, metric
from lora_checks.metrics.labelled import Labels, Texts
from lora_checks.metrics.vectors import Array, two_sets
from lora_checks.stats.intervals import MIN_PROMPTS
from lora_checks.stats.shares import clopper_pearson

INFINITY = float("inf")
INSTALL = "pip install 'lora-checks[cas]'"
FOLDS = 5  # of the real pictures, no group of them in two
DRAWS = 200
BEST_OF_CHANCE = 0.05  # chance by which guessing is as good as the classifier trained on real pictures
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int_]


def interval(x: Array, y: Array, of_x: Labels, of_y: Labels, tail: float) -> tuple[float, float] | None:
    """Return the interval of `cas`, each end of which is wrong with chance ``tail``.

    Prompts and groups are drawn with replacement within each class (bootstrap), and the classifier is trained
    again on each draw of the generated images. The draws are centred on the value, since a draw has fewer
    different images to learn from. The ends are at least those of the exact interval of a share of as many
    groups, so that 20 groups without an error do not show that there never is one.

    Returns:
        The ends; None with fewer than 8 prompts, or one of a class: it shows not how they differ.
    """
    fewest = min(len(set(of_x.groups[of_x.names == name])) for name in set(of_x.names))
    if fewest < 2 or len(set(of_x.groups)) < MIN_PROMPTS:
        return None
    x, y = two_sets(x, y, least=2)
    by_made, by_real = _both(x, y, of_x, of_y)
    value, accuracy = _ratio(by_made, by_real, of_y.names), _accuracy(by_real, of_y.names)
    draws = _draws(x, y, of_x, of_y, by_real)
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail]) + value
    cells = len(set(zip(of_y.names.tolist(), of_y.groups.tolist(), strict=True)))
    made = _accuracy(by_made, of_y.names)
    exact = clopper_pearson(made * cells, cells, tail)
    return min(float(low), exact[0] / accuracy), max(float(high), exact[1] / accuracy)


@metric(
    extractor=ANY,
    against="reference",
    per="set",
    better="higher",
    range=(0, INFINITY),
    takes="labelled",
    interval=interval,
)
def cas(x: Array, y: Array, of_x: Labels, of_y: Labels) -> float:
    """(N, D), (M, D), their labels -> accuracy on real pictures after training on generated / on real ones.

    1: the images teach as much as real pictures; higher is better, and may exceed 1 where there are more of
    them. Accuracy is the mean over the classes. The classifier that is trained on real pictures is tested by
    cross-validation in 5 folds that no group (patient, site) spans. Chance is 1 / K for K classes.
    """
    x, y = two_sets(x, y, least=2)
    by_made, by_real = _both(x, y, of_x, of_y)
    return _ratio(by_made, by_real, of_y.names)


def probe() -> Any:
    """Return the classifier: standardised features, then `regression`. Raises `PrerequisiteError`."""
    last = regression()
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), last)


def regression() -> Any:
    """Return a logistic regression with an L2 penalty of 1.

    Raises:
        PrerequisiteError: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
    except ModuleNotFoundError as error:
        raise PrerequisiteError(f"cas needs scikit-learn; {INSTALL}") from error
    return LogisticRegression(max_iter=2000)


def _both(x: Array, y: Array, of_x: Labels, of_y: Labels) -> tuple[Flags, Flags]:
    """Return which real pictures are told by the classifier of the images, and by that of the others.

    Raises:
        MeasureError: The labels do not allow it, or the network does not see what they mean.
    """
    _refuse(of_x, of_y)
    by_made = probe().fit(x, of_x.names).predict(y) == of_y.names
    by_real = _cross_validated(y, of_y) == of_y.names
    classes, accuracy = len(set(of_y.names)), _accuracy(by_real, of_y.names)
    cells = len(set(zip(of_y.names.tolist(), of_y.groups.tolist(), strict=True)))
    if clopper_pearson(accuracy * cells, cells, BEST_OF_CHANCE)[0] <= 1 / classes:
        raise MeasureError(
            f"cas: trained on real pictures the classifier has an accuracy of {accuracy:.2f} on others, and "
            f"guessing has {1 / classes:.2f}: on this network a ratio says nothing; name another network, or "
            "label more pictures"
        )
    return by_made, by_real


def _refuse(of_x: Labels, of_y: Labels) -> None:
    made, real = set(of_x.names), set(of_y.names)
    if len(real) < 2:
        raise MeasureError(f"cas: all real pictures are labelled '{next(iter(real))}'; it needs two labels")
    if made != real:
        raise MeasureError(f"cas: one side alone has the label '{min(made ^ real)}'")
    groups = Counter(name for name, _ in set(zip(of_y.names.tolist(), of_y.groups.tolist(), strict=True)))
    few = min(sorted(groups), key=lambda name: groups[name])
    if groups[few] < FOLDS:
        raise MeasureError(
            f"cas: the label '{few}' has real pictures of {count(groups[few], 'group')}, and needs {FOLDS}"
        )


def _cross_validated(y: Array, of_y: Labels) -> Texts:
    """Return for each real picture what a classifier says that saw none of its group."""
    from sklearn.model_selection import StratifiedGroupKFold

    told = np.empty_like(of_y.names)
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(y, of_y.names, of_y.groups):
        if set(of_y.names[train]) != set(of_y.names):
            raise MeasureError("cas: one group has nearly all pictures of a label; label more groups")
        told[test] = probe().fit(y[train], of_y.names[train]).predict(y[test])
    return told


def _accuracy(correct: Flags, names: Texts) -> float:
    """Return the share of correct ones, as the mean over the classes."""
    return float(np.mean([correct[names == name].mean() for name in np.unique(names)]))


def _ratio(by_made: Flags, by_real: Flags, names: Texts) -> float:
    return _accuracy(by_made, names) / max(_accuracy(by_real, names), 1e-9)


def _draws(x: Array, y: Array, of_x: Labels, of_y: Labels, by_real: Flags) -> Floats:
    """Return the ratio of each draw; the classifier of real pictures is not trained again."""
    rng = np.random.default_rng(0)
    x, y = _in_span(x, y)
    values = np.empty(DRAWS)
    for i in range(DRAWS):
        train, test = _drawn(of_x, rng), _drawn(of_y, rng)
        by_made = regression().fit(x[train], of_x.names[train]).predict(y) == of_y.names
        values[i] = _ratio(by_made[test], by_real[test], of_y.names[test])
    return values


def _in_span(x: Array, y: Array) -> tuple[Floats, Floats]:
    """Return both sets in coordinates of the span of x's standardised rows, which changes no prediction.

    The weights of a penalised regression lie in that span. It has at most N dimensions, so a thousand are
    not fitted for 50 images.
    """
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    x, y = (x - mean) / spread, (y - mean) / spread
    basis = np.linalg.svd(x, full_matrices=False)[2] if len(x) < x.shape[1] else np.eye(x.shape[1])
    return x @ basis.T, y @ basis.T


def _drawn(labels: Labels, rng: np.random.Generator) -> Rows:
    """Draw within each class as many groups as it has, with replacement, and return the rows of all."""
    rows = []
    for name in np.unique(labels.names):
        of_class = np.flatnonzero(labels.names == name)
        groups = np.unique(labels.groups[of_class])
        for group in rng.choice(groups, len(groups)):
            rows.append(of_class[labels.groups[of_class] == group])
    return np.concatenate(rows)
