"""`python -m lora_checks report`: everything again, from the record alone."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from world import Gate

from lora_checks.__main__ import main
from lora_checks.core import seals
from lora_checks.core.errors import ReportError
from lora_checks.record import document as report
from lora_checks.report.tables import COLUMNS

OUTPUTS = {"report.json", "report.md", "values.csv", "values.parquet"}


def test_every_output_is_made_again_and_is_the_same(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    run = gate("--lora", gate.world.good)
    assert run.code == 0, run.out
    before = {path.name: path.read_bytes() for path in run.report_folder.iterdir() if path.is_file()}
    assert before.keys() >= OUTPUTS
    for name in before.keys() - {"report.json", "verdicts.jsonl"}:
        (run.report_folder / name).unlink()
    assert main(["report", str(run.report_folder)]) == 0
    after = {path.name: path.read_bytes() for path in run.report_folder.iterdir() if path.is_file()}
    assert after == before
    assert str(run.report_folder / "report.md") in capsys.readouterr().out


def test_it_needs_no_torch(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    code = (
        "import sys; from lora_checks.__main__ import main; "
        f"code = main(['report', {str(run.report_folder)!r}]); "
        "print(sorted({'torch', 'diffusers', 'scipy'} & sys.modules.keys())); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr


def test_pandas_reads_one_tidy_table(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora", gate.world.bad)
    frame = pd.read_parquet(run.report_folder / "values.parquet")
    assert list(frame.columns) == list(COLUMNS)
    assert set(frame["lora"]) == {"good", "wrong-identity"}
    for lora, check in (("good", "identity"), ("wrong-identity", "likeness")):
        chosen = frame[(frame["lora"] == lora) & (frame["check"] == check)]
        assert chosen["value"].mean() == pytest.approx(run.row(check, lora)["measurement"]["value"])
        assert set(chosen["prompt"]) == {prompt["id"] for prompt in run.report["run"]["prompts"]}
    with (run.report_folder / "values.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["value"]) if line["value"] else None for line in lines] == [
        None if pd.isna(value) else value for value in frame["value"]
    ]


def test_a_folder_without_a_report_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert (
        "cannot be read (No such file or directory); name the folder of a report" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "name the report.json"),
        ('{"schema": 1}', "is a report of schema 1, and this version reads 2"),
        ("[]", "name the report.json"),
    ],
)
def test_another_file_is_no_report(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ReportError, match=words):
        report.read(tmp_path)


def test_a_line_that_a_crash_cut_off_is_left_out(gate: Gate, tmp_path: Path) -> None:
    run = gate("--lora", gate.world.good)
    lines = (run.report_folder / "verdicts.jsonl").read_text().splitlines(keepends=True)
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "verdicts.jsonl").write_text("".join(lines[:3]) + lines[3][:50])
    found = report.read(cut)
    assert found["outcome"] == "INCOMPLETE"
    told = [json.loads(line).get("verdict") for line in lines[:3]]
    assert len(found["loras"][0]["rows"]) == sum(one is not None for one in told) == 2


def test_a_run_that_was_killed_after_another_is_the_one_that_counts(gate: Gate) -> None:
    """The report on disk is of the run before, and must not be taken for this one's."""
    run = gate("--lora", gate.world.good)
    journal = run.report_folder / "verdicts.jsonl"
    first = json.loads(journal.read_text().splitlines()[0])
    del first[seals.KEY]
    first["run"]["started"] = "2100-01-01T00:00:00+00:00"
    with journal.open("a") as file:
        file.write(json.dumps(seals.seal_json(first)) + "\n")
    assert json.loads((run.report_folder / "report.json").read_text())["outcome"] == "PASS"
    assert report.read(run.report_folder)["outcome"] == "INCOMPLETE"


def test_a_page_that_shows_what_is_no_longer_on_this_machine_is_left_as_it_was(
    gate: Gate, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It may be the only one that still shows why a release was stopped."""
    run = gate("--lora", gate.world.good)
    folder = tmp_path / "artifact"
    shutil.copytree(run.report_folder, folder)
    page = (folder / "report.html").read_bytes()
    document = json.loads((folder / "report.json").read_text())
    del document["sha256"]
    document["run"]["store"] = str(tmp_path / "pruned")
    for lora in document["loras"]:
        for picture in lora["pictures"]:
            picture["file"] = str(tmp_path / "pruned" / Path(picture["file"]).name)
            picture["base"] = None
    (folder / "report.json").write_text(json.dumps(document))
    shutil.rmtree(folder / "images")
    (folder / "verdicts.jsonl").unlink()
    (folder / "report.md").unlink()
    assert main(["report", str(folder)]) == 0
    told = capsys.readouterr()
    assert (folder / "report.html").read_bytes() == page
    assert (folder / "report.md").is_file()
    assert f"{folder / 'report.html'}: left unchanged" in told.err
    assert "--out" in told.err
    assert str(folder / "report.html") not in told.out
    assert main(["report", str(folder), "--out", str(tmp_path / "bare")]) == 0
    assert "not on this machine" in (tmp_path / "bare" / "report.html").read_text(encoding="utf-8")
    other = (
        (folder / "report.html").read_text(encoding="utf-8").replace(document["run"]["started"], "earlier")
    )
    (folder / "report.html").write_text(other, encoding="utf-8")
    assert main(["report", str(folder)]) == 0  # the page of another run is no evidence of this one
    assert str(folder / "report.html") in capsys.readouterr().out


def test_verdicts_of_another_run_into_the_same_folder_are_left_out(gate: Gate) -> None:
    run = gate("--lora", gate.world.good)
    journal = run.report_folder / "verdicts.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    begun = json.loads(json.dumps(lines[0])) | {"process": lines[0]["process"] + 1}
    del begun[seals.KEY]
    begun["run"]["started"] = "2100-01-01T00:00:00+00:00"
    begun = seals.seal_json(begun)
    journal.write_text("".join(json.dumps(line) + "\n" for line in [lines[0], begun, *lines[1:]]))
    found = report.read(run.report_folder)
    assert found["outcome"] == "INCOMPLETE"
    assert found["loras"][0]["rows"] == []
