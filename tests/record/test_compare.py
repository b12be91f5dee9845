"""`python -m lora_checks compare`: reports against each other, from real runs of the gate."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from world import Run

from lora_checks.__main__ import main

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def both(first_run: Run) -> Path:
    """The folder of the report on "good" and "wrong-identity"."""
    return first_run.report_folder


def edited(both: Path, folder: Path, edit: Edit) -> Path:
    document = json.loads((both / "report.json").read_text())
    del document["sha256"]
    edit(document)
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(document))
    return folder


def test_two_loras_of_a_report(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", f"{both}#good", f"{both}/report.json#wrong-identity"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"before  good [0-9a-f]{6}, PASS", out)
    assert re.search(r"now     wrong-identity [0-9a-f]{6}, FAIL", out)
    identity = next(line for line in out.splitlines() if line.startswith("  identity"))
    before, now, difference = map(float, identity.split()[1:4])
    assert now - before == pytest.approx(difference, abs=0.002)
    assert difference < -0.1
    assert "worse; " in identity


def test_what_is_written_says_the_same(both: Path, tmp_path: Path) -> None:
    assert main(["compare", f"{both}#good", f"{both}#wrong-identity", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    (comparison,) = found["comparisons"]
    identity = next(row for row in comparison["rows"] if row["check"] == "identity")
    assert (identity["kind"], identity["sides"], identity["allowed"]) == ("images", 2, None)
    assert identity["low"] < identity["difference"] < identity["high"]
    distribution = next(row for row in comparison["rows"] if row["check"] == "distribution")
    assert distribution["kind"] == "set"
    assert distribution["low"] < distribution["difference"] < distribution["high"]
    shown = f"{identity['difference']:.3f}"
    for file in ("compare.md", "compare.html"):
        text = (tmp_path / "out" / file).read_text()
        assert shown in text
        assert identity["prompts"][0][0] in text
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_three_are_each_compared_with_the_first(both: Path, tmp_path: Path) -> None:
    arguments = [f"{both}#good", f"{both}#wrong-identity", f"{both}#good", "--out", str(tmp_path)]
    assert main(["compare", *arguments]) == 0
    found = json.loads((tmp_path / "compare.json").read_text())
    assert [(one["before"], one["now"]) for one in found["comparisons"]] == [(0, 1), (0, 2)]
    assert {row["difference"] for row in found["comparisons"][1]["rows"]} == {0}


def hardware(document: dict[str, Any]) -> None:
    document["run"]["hardware"] = "cuda NVIDIA A10G"


def weights(document: dict[str, Any]) -> None:
    for lora in document["loras"]:
        for row in lora["rows"]:
            if row["check"] == "identity":
                row["measurement"]["network"] = "arcface/1 another pack"


def strength(document: dict[str, Any]) -> None:
    for lora in document["loras"]:
        lora["scale"] = 0.8


def looser(document: dict[str, Any]) -> None:
    for lora in document["loras"]:
        for row in lora["rows"]:
            if row["check"] == "identity":
                row["threshold"]["min"] = 0.4


def versions(document: dict[str, Any]) -> None:
    document["run"]["versions"].append("torch 9.9.9")


def other_prompts(document: dict[str, Any]) -> None:
    """Another text under one id, and one prompt less; what was measured stays."""
    first, second, *rest = document["run"]["prompts"]
    document["run"]["prompts"] = [{**first, "text": "something else"}, *rest]
    for lora in document["loras"]:
        for row in lora["rows"]:
            if row["measurement"]:
                pairs = row["measurement"]["per_image"]
                kept = [pair for pair in pairs if pair[0].split("/")[0] != second["id"]]
                row["measurement"]["per_image"] = kept


def test_other_prompts_are_compared_on_those_that_both_have(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = edited(both, tmp_path / "other", other_prompts)
    assert main(["compare", f"{both}#good", f"{other}#wrong-identity", "--out", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert "not the same: prompts: compared on 6 that both have, of 8 before and 7 now" in out
    (comparison,) = json.loads((tmp_path / "out" / "compare.json").read_text())["comparisons"]
    rows = {row["check"]: row for row in comparison["rows"]}
    assert rows["identity"]["pairs"] == 6
    assert len(rows["identity"]["prompts"]) == 6
    document = json.loads((both / "report.json").read_text())
    asked = [prompt["id"] for prompt in document["run"]["prompts"]][2:]
    sides = [
        {
            name.partition("/")[0]: value
            for row in lora["rows"]
            if row["check"] == "identity"
            for name, value in row["measurement"]["per_image"]
        }
        for lora in document["loras"]
    ]
    means = [sum(side[name] for name in asked) / 6 for side in sides]
    assert rows["identity"]["difference"] == pytest.approx(means[1] - means[0])
    assert "one value of all of its prompts" in rows["distribution"]["not_compared"]


def test_nothing_is_compared_where_no_prompt_is_shared(both: Path, tmp_path: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        for prompt in document["run"]["prompts"]:
            prompt["text"] = f"other {prompt['text']}"

    assert main(["compare", f"{both}#good", f"{edited(both, tmp_path / 'other', edit)}#good"]) == 1


def test_several_reports_are_one_table(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"{both}#good", f"{both}#wrong-identity", f"{both}#good"]
    assert main(["compare", *arguments, "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "compare.json").read_text())
    identity = next(row for row in found["values"] if row["check"] == "identity")["of"]
    assert [value["outcome"] for value in identity] == ["PASS", "FAIL", "PASS"]
    shown = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}] {v['outcome']}" for v in identity]
    out = capsys.readouterr().out
    page, markdown = ((tmp_path / f"compare.{kind}").read_text() for kind in ("html", "md"))
    for cell in shown:
        assert cell in out
        value, interval, outcome = re.fullmatch(r"(\S+) (\[.+\]) (\w+)", cell).groups()  # type: ignore[union-attr]
        assert f"{outcome}</span> {value}</span><small>{interval}</small>" in page
        assert cell.replace("[", "\\[").replace("]", "\\]") in markdown
    with (tmp_path / "compare.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["check"] == "identity"]
    assert [line["lora"] for line in lines] == ["good", "wrong-identity", "good"]
    assert float(lines[1]["difference"]) == pytest.approx(
        identity[1]["value"] - identity[0]["value"], abs=1e-6
    )
    assert lines[0]["difference"] == ""


@pytest.mark.parametrize(
    ("edit", "code", "sentence"),
    [
        (hardware, 1, "hardware: cpu before, cuda NVIDIA A10G now"),
        (weights, 1, "not compared: identity: network: arcface/1 "),
        (strength, 0, "not the same: strength of the LoRA: 1.0 before, 0.8 now"),
        (looser, 0, "the policies differ: identity: min 0.450 -> 0.400, looser"),
        (versions, 0, "not the same: versions: - before, torch 9.9.9 now"),
    ],
)
def test_what_differs_beside_the_lora_is_said(
    both: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], edit: Edit, code: int, sentence: str
) -> None:
    other = edited(both, tmp_path / "other", edit)
    assert main(["compare", f"{both}#good", f"{other}#good"]) == code
    said = capsys.readouterr().out
    assert sentence in said
    assert ("not compared: " in said) == (code == 1)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{both}#good"], "name at least two reports"),
        (["{both}", "{both}"], "holds 2 LoRAs; say which as report.json#NAME: good, wrong-identity"),
        (["{both}#good", "{both}/gone"], "is not a file; name the report.json"),
        (["{both}#good", "{both}#nobody"], "holds no LoRA 'nobody'"),
    ],
)
def test_a_command_that_is_wrong_ends_in_2(
    both: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert main(["compare", *(argument.format(both=both) for argument in arguments)]) == 2
    assert sentence in capsys.readouterr().err
