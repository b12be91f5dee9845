"""schema.json describes what the gate writes, no more and no less."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from world import Run

from lora_checks.core.records import Measurement, Pairing, Stat, Threshold, Verdict
from lora_checks.record import document as report

SCHEMA: dict[str, Any] = json.loads(resources.files("lora_checks.report").joinpath("schema.json").read_text())


def errors(document: dict[str, Any]) -> list[str]:
    return [error.json_path for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]


def test_the_schema_is_a_schema_of_this_version() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == report.SCHEMA


@pytest.mark.parametrize(
    ("name", "record", "derived"),
    [
        ("threshold", Threshold, set()),
        ("measurement", Measurement, set()),
        ("row", Verdict, {"band", "direction", "margin", "power"}),
    ],
)
def test_a_field_that_a_record_has_is_in_the_schema(name: str, record: Any, derived: set[str]) -> None:
    fields = {field.name for field in dataclasses.fields(record)}
    assert set(SCHEMA["$defs"][name]["properties"]) == fields | derived


def test_the_words_of_a_record_are_those_of_the_schema() -> None:
    for name, record in (("threshold", Threshold), ("measurement", Measurement)):
        assert SCHEMA["$defs"][name]["properties"]["stat"]["enum"] == list(get_args(Stat)), record
    pairing = SCHEMA["$defs"]["threshold"]["properties"]["pairing"]["enum"]
    assert pairing == [*get_args(Pairing), ""]


def test_what_a_real_run_writes_is_valid(first_run: Run) -> None:
    assert errors(first_run.report) == []


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda found: found.pop("outcome"), "$"),
        (lambda found: found.update(outcome="OK"), "$.outcome"),
        (lambda found: found["loras"][0].update(sha256="short"), "$.loras[0].sha256"),
        (lambda found: found["loras"][0]["rows"][0].update(colour="red"), "$.loras[0].rows[0]"),
        (lambda found: found["run"].pop("hardware"), "$.run"),
        (lambda found: found["loras"][0]["pictures"][0].pop("recipe"), "$.loras[0].pictures[0]"),
    ],
)
def test_what_it_would_not_write_is_not(first_run: Run, damage: Any, where: str) -> None:
    found = json.loads(json.dumps(first_run.report))
    damage(found)
    assert errors(found) == [where]


def test_every_picture_is_named_with_its_bytes_and_the_base_beside_it(first_run: Run) -> None:
    """The record is enough to find every image that was judged."""
    lora = first_run.report["loras"][0]
    named = {
        name for row in lora["rows"] if row["measurement"] for name, _ in row["measurement"]["per_image"]
    }
    assert named == {picture["name"] for picture in lora["pictures"]}
    for picture in lora["pictures"]:
        assert hashlib.sha256(Path(picture["file"]).read_bytes()).hexdigest() == picture["sha256"]
        assert Path(picture["file"]).stem == picture["recipe"]
    assert [picture["base"] is not None for picture in lora["pictures"]].count(True) >= 1
