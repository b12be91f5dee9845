"""Metrics that users write: wrong results, exceptions and changed code are never judged in silence."""

# ruff: noqa: ARG005

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lora_checks import metrics
from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.records import Base, ImageSet, Metric, Prompt, PromptSet, Sampler
from lora_checks.core.store import Store
from lora_checks.images.sets import image_set
from lora_checks.judge.measure import measure
from lora_checks.judge.task import Task
from lora_checks.metrics.of_pixels import OfPixels

N, M = 9, 12
PROMPTS = PromptSet(
    Base("base"), Sampler(4, 2.0, 8, 8), (Prompt("red", "a red person"),), (0,), "sks person", "person"
)


class Shades:
    """A network whose features are mean, deviation and 1."""

    id = label = "shades"

    def images(self, pixels: Sequence[Any]) -> np.ndarray:
        return np.array([[picture.mean(), picture.std(), 1] for picture in pixels], np.float32)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.ones((len(texts), 3), np.float32)


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, ImageSet]:
    found = {}
    for name, count in (("candidate", N), ("references", M)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = np.random.RandomState(100 * len(name) + i).randint(1, 255, (8, 8, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name / f"{i}.png")
        found[name] = image_set(name, tmp_path / name)
    named = [replace(im, prompt=Prompt(f"p{im.name}", "a"), seed=0) for im in found["candidate"].images]
    return {**found, "candidate": ImageSet("candidate", tuple(named))}


@pytest.fixture(autouse=True)
def undeclared() -> Iterator[None]:
    """Undeclare after each test what it declared."""
    before = dict(metrics._declared)
    yield
    metrics._declared.clear()
    metrics._declared.update(before)


def own(fn: Callable[..., Any], **settings: Any) -> Metric:
    fn.__name__ = "mine"
    said: dict[str, Any] = {"extractor": "shades", "against": "nothing", "per": "image", "better": "higher"}
    metrics.metric(**{**said, "range": (-1000, 1000), **settings})(fn)
    return metrics.get("mine")


def found_by(metric: Metric, sets: dict[str, ImageSet], store: Path) -> float:
    other = sets["references"] if metric.against == "reference" else None
    network: Any = Shades() if metric.extractor else None
    return measure(Task(metric, sets["candidate"], other), network, PROMPTS, Store(store)).value


REFERENCE = {"against": "reference"}
SET = {"against": "reference", "per": "set"}
PICTURE = {"extractor": "", "takes": "picture"}
WRONG: dict[str, tuple[Callable[..., Any], dict[str, Any], str]] = {
    "a column": (
        lambda x: x[:, :1],
        {},
        r"mine .*\(9, 1\).* 9 images .*\(9,\) or \(9, 9\)",
    ),
    "one number": (lambda x: 0.5, {}, r"mine .*shape \(\);"),
    "three axes": (lambda x: np.zeros((N, 2, 2)), {}, r"mine .*\(9, 2, 2\);"),
    "every prompt": (
        lambda x, y: x @ y.T,
        {"against": "prompt"},
        r"shape \(9, 9\); .* 9 images .*\(9,\)$",
    ),
    "too wide": (lambda x, y: np.zeros((N, 7)), REFERENCE, r"\(9,\) or \(9, 12\)"),
    "turned": (lambda x, y: np.zeros((M, N)), REFERENCE, r"mine .*\(12, 9\);"),
    "nothing": (lambda x: None, {}, r"mine .*shape \(\);"),
    "words": (lambda x: ["a"] * N, {}, "mine returned list"),
    "complex numbers": (lambda x: np.ones(N, complex), {}, "mine returned ndarray"),
    "an exception": (
        lambda x: 1 / 0,
        {},
        r"mine raised ZeroDivisionError: division by zero \(test_own_metrics.py:\d+",
    ),
    "other arguments": (lambda x, y: 1, {}, r"mine raised TypeError: .*missing 1 required"),
    "numpy's own error": (
        lambda x, y: np.linalg.inv(np.zeros((2, 2))),
        SET,
        "mine raised LinAlgError: Singular",
    ),
    "many for a set": (lambda x, y: np.zeros(3), SET, "mine returned ndarray"),
    "nothing for a set": (lambda x, y: None, SET, "mine returned NoneType"),
    "channels": (lambda p: p.mean(axis=(0, 1)), PICTURE, "mine returned ndarray"),
    "nothing for a picture": (lambda p: None, PICTURE, "mine returned NoneType"),
    "a picture's exception": (lambda p: 1 / 0, PICTURE, "mine raised ZeroDivisionError"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_value_is_a_sentence(name: str, sets: dict[str, ImageSet], tmp_path: Path) -> None:
    fn, settings, message = WRONG[name]
    with pytest.raises(MeasureError, match=message):
        found_by(own(fn, **settings), sets, tmp_path / "store")


@pytest.mark.parametrize(
    ("fn", "settings"),
    [
        (lambda x: x[:, 2] > 0, {}),
        (lambda x: [1] * N, {}),
        (lambda x: np.ones((N, N)), {}),
        (lambda x, y: np.ones((N, M)), REFERENCE),
        (lambda x, y: np.ones(N), REFERENCE),
        (lambda x, y: np.float32(1), SET),
        (lambda x, y: True, SET),
        (lambda p: 1, PICTURE),
    ],
    ids=["booleans", "a list", "pairs", "a matrix", "a row", "float32", "one boolean", "a picture"],
)
def test_numbers_of_any_kind_are_values(
    fn: Callable[..., Any], settings: dict[str, Any], sets: dict[str, ImageSet], tmp_path: Path
) -> None:
    assert found_by(own(fn, **settings), sets, tmp_path / "store") == 1


def test_a_half_that_a_function_cannot_take_costs_no_value(sets: dict[str, ImageSet], tmp_path: Path) -> None:
    """Halves are measured for the numbers beside the value."""

    def whole_only(_: np.ndarray, y: np.ndarray) -> float:
        if len(y) < M:
            raise ValueError("too few")
        return 1.0

    assert found_by(own(whole_only, **SET), sets, tmp_path / "store") == 1


CONFTEST = """from lora_checks import metric

SCALE = 1


def helper(picture):
    return 1


@metric(extractor="", takes="picture", against="nothing", per="image", better="higher", range=(0, 9))
def mine(picture):
    return max(helper(picture) * SCALE for _ in range(3))
"""


def declared(path: Path, before: str = "", after: str = "") -> Metric:
    """Write a conftest.py with a metric of pictures, and import it as pytest does."""
    path.write_text(CONFTEST.replace(before, after, 1) if before else CONFTEST)
    spec = importlib.util.spec_from_file_location("conftest", path)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return metrics.get("mine")


@pytest.mark.parametrize(
    ("before", "after"),
    [("* SCALE", "* SCALE * 2"), ("SCALE = 1", "SCALE = 2"), ("return 1", "return 2")],
    ids=["itself", "a constant", "a helper"],
)
def test_a_function_that_changed_is_asked_again(
    before: str, after: str, sets: dict[str, ImageSet], tmp_path: Path
) -> None:
    """Values of pictures are stored, and must not outlive the function, its helpers or their constants."""
    store = tmp_path / "store"
    first = declared(tmp_path / "conftest.py")
    assert found_by(first, sets, store) == 1
    identity = OfPixels(first).id
    assert OfPixels(declared(tmp_path / "conftest.py", "from lora", "\n\nfrom lora")).id == identity
    assert found_by(declared(tmp_path / "conftest.py", before, after), sets, store) == 2


def test_two_files_of_one_name_cannot_declare_one_metric(tmp_path: Path) -> None:
    """Every conftest.py is the module "conftest"; the second would silently replace the first."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    declared(tmp_path / "a/conftest.py")
    declared(tmp_path / "a/conftest.py")  # pytest's and calibrate's imports of one file
    with pytest.raises(
        ConfigError, match=r"metric 'mine' is declared in .*a/conftest.py and in .*b/conftest.py"
    ):
        declared(tmp_path / "b/conftest.py")
