"""A vision model judges pictures made elsewhere: its values are in the report's files, and asked for once."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from vlm_world import MELTED, SUBJECT, Table, drawn, sees

from lora_checks import run_gate
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
        "networks:\n  vlm: {kind: judge, api: table, key_env: JUDGE_KEY}\n"
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
    assert rows["adherence"]["measurement"]["note"] == "not tried on the base's images: there are none"


def test_a_model_that_fails_a_control_ends_the_run_by_name(folder: Path, table: type[Table]) -> None:
    def pleased(request: Any, shown: list[Any]) -> float:
        return 0.9 if "limbs" in request.text else sees(request, shown)

    table.answer = staticmethod(pleased)
    with pytest.raises(Exception, match="question 'limbs': a table fails the control 'bad'"):
        gated(folder)
    assert not [request for request in table.asked if " in red" in request.text]  # nothing about the images


def test_no_file_of_a_run_has_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-very-secret-000")
    gated(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name == "report.json" for path in files)
    assert not [path for path in files if b"sk-very-secret" in path.read_bytes()]
