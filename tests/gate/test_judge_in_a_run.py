"""A vision model judges pictures made elsewhere: its values are in the report's files, and asked for once."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judge_world import Answer, Asked, Dead, Server, said, serving
from PIL import Image
from vlm_world import MELTED, SUBJECT, Table, drawn, sees

from lora_checks import run_gate
from lora_checks.networks.vlm.api import Request
from lora_checks.networks.vlm.systemone import NAME
from lora_checks.report.html import sheet
from lora_checks.report.tables import WIDE

PROMPTS = {"00": "sks person in red", "01": "sks person in blue"}
QUESTIONS = ("person", "same-person", "adherence", "adherence-simple", "quality", "limbs", "artifacts")


@pytest.fixture
def folder(tmp_path: Path, table: type[Table]) -> Path:
    """A policy with the seven questions, and a folder of one LoRA's pictures at two steps."""
    table.answer = staticmethod(sees)
    for number in range(3):
        drawn(tmp_path / "references", f"red{number}", (0, 200 - number, 0))
        drawn(tmp_path / "bad", f"red{number}", MELTED)
    rows = "".join(
        f"  {name}: {{metric: judge, network: vlm, question: {name}, min: 0.5, why: w}}\n"
        for name in QUESTIONS
    )
    (tmp_path / "thresholds.yaml").write_text(
        "folders: {references: references, bad: bad}\n"
        "networks:\n  vlm: {kind: judge, api: table}\n"
        f"checks:\n{rows}  brightness: {{metric: brightness, min: 1, why: w}}\n"
    )
    told = {"trigger": "sks person", "class_words": "person", "prompts": PROMPTS}
    (tmp_path / "prompts.json").write_text(json.dumps(told))
    for step, green in (("000100", 150), ("000200", SUBJECT[1])):
        for name, text in PROMPTS.items():
            picture = drawn(tmp_path / "images", text.rpartition(" ")[2], (0, green, 0))
            picture.rename(picture.with_name(f"person_{step}_{name}_20241130.png"))
    return tmp_path


def gated(folder: Path, **more: Any) -> Any:
    return run_gate(
        [], policy=folder, prompts=folder / "prompts.json", store=folder / "store", report=folder / "report",
        images=folder / "images", images_from="{lora}_{step}_{prompt}_{timestamp}.png", **more,
    )  # fmt: skip


def test_one_command_gives_the_table_of_lora_step_prompt_and_every_score(folder: Path) -> None:
    result = gated(folder)
    assert result.report is not None
    with (folder / "report" / WIDE).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4
    assert {"lora", "step", "prompt", *QUESTIONS, "brightness"} <= lines[0].keys()
    found = {(line["step"], line["prompt"]): line for line in lines}
    assert {line["run"] for line in lines} == {"person"}
    assert float(found["200", "00"]["same-person"]) == pytest.approx(0.9)
    assert float(found["100", "00"]["same-person"]) == pytest.approx(0.1)
    assert float(found["200", "01"]["adherence"]) == pytest.approx(0.8)
    assert {loras["step"]: loras["outcome"] for loras in result.document["loras"]} == {
        100: "FAIL",
        200: "PASS",
    }


def test_what_it_costs_is_foreseen_and_counted_and_the_second_run_asks_nothing(
    folder: Path, table: type[Table]
) -> None:
    first = gated(folder)
    asked = len(table.asked)
    (cost,) = first.document["run"]["judges"].values()
    assert cost["replies"] == cost["calls"] == asked
    assert cost["tokens"] == 100 * asked
    assert asked <= cost["expected_questions"] <= 2 * asked
    second = gated(folder)
    assert len(table.asked) == asked
    assert second.document["run"]["judges"]["vlm"]["calls"] == 0
    assert second.document["run"]["judges"]["vlm"]["expected_tokens"] == 100 * cost["expected_questions"]
    assert second.document["loras"] == first.document["loras"]


def test_the_report_has_the_question_and_what_its_controls_leave_open(folder: Path) -> None:
    result = gated(folder)
    rows = {row["check"]: row for row in result.document["loras"][0]["rows"]}
    assert rows["limbs"]["threshold"]["question"]["text"].startswith("Are all visible limbs")
    assert rows["limbs"]["measurement"]["note"] == ""
    labels = {check["name"]: check["question"] for check in sheet.checks(result.document)}
    assert labels["person"] == "Is there a person in the picture?"  # on the page, above each picture's answer
    assert labels["adherence-simple"] == "Does the picture show (its prompt)?"
    assert rows["adherence"]["measurement"]["note"] == "not tried on the base's images: there are none"


def test_a_model_that_fails_a_control_ends_the_run_by_name(folder: Path, table: type[Table]) -> None:
    def pleased(request: Any, shown: list[Any]) -> float:
        return 0.9 if "limbs" in request.text else sees(request, shown)

    table.answer = staticmethod(pleased)
    with pytest.raises(Exception, match="question 'limbs': a table fails the control 'bad'"):
        gated(folder)
    assert not [request for request in table.asked if " in red" in request.text]  # nothing about the images


# --- behind HTTP -------------------------------------------------------------------------------------

KEY = "sk-very-secret-000"


def seen(asked: Asked, *, refuses: Callable[[str], bool] = lambda _: False) -> Answer:
    """Answer over HTTP as `sees` does, and refuse some questions."""
    text = asked.body["questions"][NAME]["instructions"]
    if refuses(text):
        return 400, {"error": {"code": "content_policy_violation", "message": f"not with {KEY}"}}
    request = Request("predicate", text, ("yes", "no"), tuple(asked.images))
    shown = [np.asarray(Image.open(io.BytesIO(image)), np.float64) for image in asked.images]
    return said(asked, sees(request, shown))


def served(folder: Path, server: Server, **settings: object) -> Path:
    """Have the policy ask that server, with a key."""
    told = "".join(f", {name}: {value}" for name, value in settings.items())
    path = folder / "thresholds.yaml"
    network = (
        f"{{kind: judge, api: systemone, model: m, endpoint: '{server.address}', key_env: JUDGE_KEY{told}}}"
    )
    path.write_text(re.sub(r"vlm: {kind.*}", f"vlm: {network}", path.read_text()))
    return folder


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)


def test_over_http_the_values_are_the_same_and_no_file_of_the_run_has_the_key(folder: Path) -> None:
    here = gated(folder)
    with serving(seen) as server:
        there = gated(served(folder, server))
    assert {asked.headers["Authorization"] for asked in server.asked} == {f"Bearer {KEY}"}
    values = [
        {
            (lora["name"], row["check"]): row["measurement"]["value"]
            for lora in run.document["loras"]
            for row in lora["rows"]
            if row["measurement"]
        }
        for run in (here, there)
    ]
    assert values[0] == pytest.approx(values[1], abs=1e-9)
    assert len(values[0]) == 16
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "report.json" for path in files)
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_refused_questions_are_missing_and_their_row_no_pass(folder: Path) -> None:
    with serving(partial(seen, refuses=lambda text: "in blue" in text)) as server:
        result = gated(served(folder, server, repeat=0))
    (good,) = (lora for lora in result.document["loras"] if lora["step"] == 200)
    rows = {row["check"]: row for row in good["rows"]}
    assert rows["quality"]["outcome"] == "PASS"
    assert rows["adherence"]["outcome"] == "FAIL"  # half of its images have no value
    assert (rows["adherence"]["measurement"]["n"], rows["adherence"]["measurement"]["missing"]) == (1, 1)
    assert KEY not in (folder / "report" / "report.json").read_text()


def test_a_server_that_dies_midway_is_an_error_and_the_rest_is_asked_later(folder: Path) -> None:
    with serving(seen) as server:
        first = gated(served(folder, server, repeat=0))
        whole = len(server.asked)
    assert first.document["run"]["judges"]["vlm"]["calls"] == whole
    shutil.rmtree(folder / "store")

    def dying(asked: Asked) -> Answer:
        if len(server.asked) > whole - 8:
            raise Dead
        return seen(asked)

    with serving(dying) as server:
        result = gated(served(folder, server, repeat=0, timeout=5))
    outcomes = {row["outcome"] for lora in result.document["loras"] for row in lora["rows"]}
    assert "ERROR" in outcomes
    with serving(seen) as server:
        again = gated(served(folder, server, repeat=0))
    assert 0 < len(server.asked) <= 8 + 4
    assert [lora["outcome"] for lora in again.document["loras"]] == ["FAIL", "PASS"]


def test_over_budget_a_row_is_an_error_before_it_costs(folder: Path) -> None:
    with serving(seen) as server:
        result = gated(served(folder, server, repeat=0, budget="{calls: 70}"))
    errors = [row for lora in result.document["loras"] for row in lora["rows"] if row["outcome"] == "ERROR"]
    assert errors
    assert all("the budget of 70 calls does not cover" in row["reason"] for row in errors)
    assert len(server.asked) <= 70
