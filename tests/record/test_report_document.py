"""The JSON document is complete and lossless, and is written in one step."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_world import HOSTILE, document, measurement, refused, verdicts, whole

from lora_checks.core.errors import ReportError, StoreError
from lora_checks.core.records import Calibration, Measurement, Outcome, Threshold, Verdict
from lora_checks.policy.questions import standard
from lora_checks.record import document as report

number = st.floats(allow_nan=False, allow_infinity=False)
# Lone surrogates included: a file name on Linux may hold any byte.
text = st.text(st.characters(exclude_categories=()), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | number | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
pairs = st.lists(st.tuples(text, number), max_size=3).map(tuple)
names = st.lists(text, max_size=2).map(tuple)
calibrations = st.builds(
    Calibration, identity=text, good=names, bad=names, margin=st.none() | number, n=st.none() | st.integers(1)
)
thresholds = st.builds(
    Threshold, name=text, metric=text, why=text, min=st.none() | number, max=st.none() | number, bands=pairs,
    rule=st.sampled_from(["estimate", "bound"]), required=st.booleans(), source=text,
    texts=names, at=st.none() | number, gain=st.booleans(), on=text, calibrated_on=st.none() | calibrations,
)  # fmt: skip
measurements = st.builds(
    Measurement, metric=text, stat=st.sampled_from(["mean", "missing"]), value=number, n=st.integers(0),
    missing=st.integers(0), better=st.sampled_from(["higher", "lower"]), network=text, label=text,
    low=st.none() | number, high=st.none() | number,
    per_image=st.lists(st.tuples(text, st.none() | number), max_size=3).map(tuple),
    worst=st.none() | st.tuples(text, number),
    nearest=st.lists(st.tuples(text, st.integers(0)), max_size=3).map(tuple),
    extremes=st.none() | st.tuples(number, number), at=st.none() | number, gain=st.booleans(), on=text,
    sides=st.sampled_from([1, 2]), floor=st.none() | number, waiting=text,
)  # fmt: skip
some_verdict = st.builds(
    Verdict, lora=text, lora_sha256=text, check=text, outcome=st.sampled_from(Outcome), reason=text,
    required=st.booleans(), threshold=st.none() | thresholds, measurement=st.none() | measurements,
    images=text, details=st.dictionaries(text, json_values, max_size=3), change_of=text,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(some_verdict)
def test_a_verdict_survives_its_json(verdict: Verdict) -> None:
    line = report.verdict_to_json(verdict)
    assert report.verdict_from_json(line) == verdict
    assert line.isascii()
    assert "\n" not in line


def test_every_field_of_the_records_travels() -> None:
    original = verdicts()[0]
    found = report.verdict_from_json(report.verdict_to_json(original))
    assert dataclasses.asdict(found) == dataclasses.asdict(original)
    assert isinstance(found.outcome, Outcome)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_becomes_null_never_zero(value: float) -> None:
    verdict = dataclasses.replace(verdicts()[0], measurement=measurement("identity", value=value, low=value))
    line = report.verdict_to_json(verdict)
    assert json.loads(line)["measurement"]["value"] is None
    found = report.verdict_from_json(line).measurement
    assert found is not None
    assert math.isnan(found.value)
    assert found.low is None


def test_the_document_holds_run_loras_and_rows_worst_first() -> None:
    found = document(verdicts("overfit"), verdicts("good", ("identity", "drift")), command="pytest --lora x")
    assert (found["schema"], found["outcome"]) == (2, "FAIL")
    assert found["run"]["command"] == "pytest --lora x"
    assert "required" not in found["run"]
    assert [(lora["name"], lora["outcome"]) for lora in found["loras"]] == [
        ("overfit", "FAIL"),
        ("good", "PASS"),
    ]
    assert [(row["outcome"], row["check"]) for row in found["loras"][0]["rows"]] == [
        ("FAIL", "not a copy"),
        ("FAIL", "prompt adherence"),
        ("FAIL", "variety"),
        ("INCONCLUSIVE", "surely clear"),
        ("PASS", "drift"),
        ("PASS", "identity"),
    ]
    assert found["loras"][0]["images"] == ["out/overfit"]


def test_a_row_carries_what_follows_from_it() -> None:
    row = report.row(verdicts(checks=("drift",))[0])
    assert (row["band"], row["direction"]) == ("good", "lower")
    assert row["margin"] == pytest.approx(0.069)


def test_required_rows_without_a_verdict_are_listed_and_the_run_is_incomplete() -> None:
    found = document(verdicts("good", ("identity",)), missing=(("good", "drift"), ("other", "drift")))
    assert found["outcome"] == "INCOMPLETE"
    assert [(lora["name"], lora["outcome"], lora["missing"]) for lora in found["loras"]] == [
        ("good", "INCOMPLETE", ["drift"]),
        ("other", "INCOMPLETE", ["drift"]),
    ]


def test_a_lora_that_the_run_does_not_list_is_reported_all_the_same() -> None:
    found = report.build({"loras": [], "required": [("a", "x")]}, verdicts("good", ("identity",)))
    assert [lora["name"] for lora in found["loras"]] == ["good", "a"]


def test_a_run_without_rows_is_incomplete() -> None:
    assert report.build({"loras": [], "required": []}, [])["outcome"] == "INCOMPLETE"


def test_what_is_written_is_the_document(tmp_path: Path) -> None:
    found = document(verdicts(HOSTILE), weird=[math.nan, HOSTILE, Path("x")])
    found["run"] = whole(found["run"])
    path = report.write(found, tmp_path / "new" / "report")
    written = json.loads(path.read_text(encoding="ascii"))
    assert written == found | {"sha256": written["sha256"]}
    assert report.read(path.parent) == found
    assert [p.name for p in path.parent.iterdir()] == ["report.json"]
    assert found["run"]["weird"] == [None, HOSTILE, "x"]


def test_a_report_that_cannot_be_written_keeps_the_old_one_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = report.write(document(verdicts("old", ("identity",))), tmp_path)
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"could not be written \(No space left on device\)"):
        report.write(document(verdicts("new", ("identity",))), tmp_path)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_file_in_the_way_of_the_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    with pytest.raises(StoreError, match="choose another folder with --lora-report"):
        report.write(document(refused("a", "damaged")), tmp_path / "report")


def test_the_document_holds_plain_json_types_only() -> None:
    def check(value: Any) -> None:
        assert type(value) in (dict, list, str, int, float, bool, type(None))
        for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            check(item)

    check(document(verdicts(), refused("b", "damaged"), started=Path("x"), seeds=(0, 1)))


def test_a_report_in_which_a_digit_flipped_is_refused(tmp_path: Path) -> None:
    made = document(verdicts())
    made["run"] = whole(made["run"]) | {"finished": "2026-11-29T18:41:02+00:00"}
    path = report.write(made, tmp_path)
    assert report.read_file(path) == made
    path.write_text(path.read_text().replace("2026-11-29T18:41", "2026-11-29T18:43"))
    with pytest.raises(ReportError, match="its digest does not match, so it was damaged or edited"):
        report.read_file(path)


def test_a_row_that_asks_comes_back_from_the_journal_as_it_was() -> None:
    row = Threshold("same", "judge", "w", min=0.5, network="vlm", question=standard()["same-person"])
    verdict = Verdict("a", "ab" * 32, "same", Outcome.ERROR, "no answer", threshold=row)
    assert report.verdict_from_json(report.verdict_to_json(verdict)) == verdict
