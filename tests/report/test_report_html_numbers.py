"""What the page computes: marks, scales, matrices and spectra."""

from __future__ import annotations

import base64
import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_fixtures import Parts
from page_world import photo

from lora_checks.core.store import Store, from_npy
from lora_checks.metrics.vectors import cosines
from lora_checks.report import html
from lora_checks.report.html import marks, scale, spectrum


def row_of(document: dict[str, Any], check: str, which: int = 0) -> dict[str, Any]:
    return next(row for row in document["loras"][which]["rows"] if row["check"] == check)


@pytest.mark.parametrize(
    ("stat", "at", "limits", "bad", "good"),
    [
        ("mean", None, {"min": 0.5, "max": None}, 0.4, 0.6),
        ("worst_prompt", None, {"min": None, "max": 0.5}, 0.6, 0.4),
        ("share_at_least", 0.7, {"min": 0.9, "max": None}, 0.6, 0.8),
        ("share_at_least", 0.7, {"min": None, "max": 0.1}, 0.8, 0.6),
        ("share_at_most", 0.7, {"min": 0.9, "max": None}, 0.8, 0.6),
    ],
)
def test_an_image_is_marked_by_its_own_value(
    document: dict[str, Any], stat: str, at: float | None, limits: dict[str, Any], bad: float, good: float
) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"stat": stat, "at": at}
    row["threshold"] |= limits
    why, depth = marks.why(row, row["measurement"]), marks.distance(row)
    assert why(good) == ""
    assert why(bad).startswith(f"similarity {bad:.3f}, ")
    assert why(None) == "no value"
    assert (depth(bad) or 0) < 0 < (depth(good) or 0)


def test_without_a_face_says_so(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"metric": "arcface", "stat": "missing"}
    assert marks.why(row, row["measurement"])(None) == "no face"
    assert marks.why(row, row["measurement"])(-1.0) == ""


def test_a_scale_puts_everything_in_order(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"value": 0.6, "low": 0.55, "high": 0.7, "floor": 0.9}
    row["measurement"]["per_image"] = [["a", 0.4], ["b", 0.8], ["c", None]]
    drawn = scale.drawing(row)
    assert drawn is not None
    assert drawn.interval is not None
    assert drawn.spread is not None
    (limit,) = drawn.limits
    (floor,) = drawn.references
    inside = [
        drawn.spread[0],
        limit.x,
        drawn.interval[0],
        drawn.value,
        drawn.interval[1],
        drawn.spread[1],
        floor.x,
    ]
    assert inside == sorted(inside)
    assert 0 <= inside[0] < inside[-1] <= drawn.width
    assert drawn.forbidden == ((0.0, limit.x),)
    assert (
        drawn.words == "value 0.600, interval 0.550 to 0.700, min 0.500, images 0.400 to 0.800, floor 0.900"
    )


def test_a_row_without_a_number_has_no_scale(document: dict[str, Any]) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] = None
    assert scale.drawing(row) is None


def test_the_matrix_is_what_the_network_said(parts: Parts, document: dict[str, Any]) -> None:
    matrix = parts.data("data")["matrices"][0]
    store, network = Store(Path(document["run"]["store"])), "clip/1 decoder=1 0123456789abcdef"
    x, y = (
        np.stack([from_npy(store.array(network, picture["sha256"])) for picture in pictures])
        for pictures in (document["loras"][0]["pictures"], document["run"]["folders"]["references"]["images"])
    )
    cells = np.frombuffer(base64.b64decode(matrix["cells"]), np.uint8).reshape(len(x), len(y))
    found = matrix["low"] + cells / 254 * (matrix["high"] - matrix["low"])
    assert np.abs(found - cosines(x, y)).max() < (matrix["high"] - matrix["low"]) / 254
    assert len({(one["lora"], one["check"]) for one in parts.data("data")["matrices"]}) == 2


@pytest.mark.parametrize("cycles", [4, 12, 30])
def test_a_grating_has_its_power_at_its_own_frequency(cycles: int) -> None:
    wave = np.sin(2 * np.pi * cycles * np.arange(64) / 64)
    grating = np.broadcast_to((128 + 100 * wave)[None, :, None], (64, 64, 3)).astype(np.uint8)
    curve = spectrum.radial(grating, 64)
    assert curve is not None
    assert abs(np.log(spectrum.frequencies(64)[curve.argmax()] / (cycles / 64))) < 0.25


def test_blur_takes_fine_detail_and_grain_adds_it() -> None:
    from PIL import Image, ImageFilter

    plain = photo(1, 128, grain=6)
    blurred = np.asarray(Image.fromarray(plain).filter(ImageFilter.GaussianBlur(2)))
    curves = [spectrum.radial(one, 128) for one in (blurred, plain, photo(1, 128, grain=30))]
    fine = [float(curve[-8:].mean()) for curve in curves if curve is not None]
    assert fine == sorted(fine)
    assert fine[2] - fine[0] > 1
    assert spectrum.radial(plain, 256) is None


def test_marks_on_a_scale_have_the_names_of_the_note_and_none_stands_on_another(
    document: dict[str, Any],
) -> None:
    row = copy.deepcopy(row_of(document, "likeness"))
    row["measurement"] |= {"themselves": 0.9, "reseeded": [0.1, 0.12], "reseeded_by": "halves"}
    drawn = scale.drawing(row)
    assert drawn is not None
    assert [mark.text for mark in drawn.references] == ["references", "halves", ""]
    assert len({mark.x for mark in drawn.references}) == 3
    assert "references 0.900, halves 0.100, halves 0.120" in drawn.words
    row["measurement"] |= {"stat": "share_at_least", "at": 0.7}
    drawn = scale.drawing(row)
    assert drawn is not None
    assert [mark.text for mark in drawn.references] == ["halves", ""]


def test_a_matrix_is_called_after_the_row_of_values_not_after_that_of_missing_faces(
    document: dict[str, Any], page_folder: Path
) -> None:
    found = copy.deepcopy(document)
    for lora in found["loras"]:
        likeness = next(row for row in lora["rows"] if row["check"] == "likeness")
        absent = copy.deepcopy(likeness)
        absent["check"] = "face-found"
        absent["measurement"]["stat"] = "missing"
        lora["rows"].insert(0, absent)
    shown = Parts(html.html(found, page_folder / "report")).data("data")["matrices"]
    assert {matrix["check"] for matrix in shown} == {"likeness"}


def test_a_machine_without_scipy_draws_the_same_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with_scipy = spectrum.radial(pixels, 64)
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    np.testing.assert_allclose(spectrum.radial(pixels, 64), with_scipy, atol=1e-5)
