"""Who approved a verdict: recorded beside the report, shown on page and card, signed, and never a PASS."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from page_world import page_document

from lora_checks.__main__ import main
from lora_checks.core import seals
from lora_checks.core.errors import ReleaseError
from lora_checks.publish import card
from lora_checks.publish.release.reading import claim_in
from lora_checks.record import approval
from lora_checks.record import document as documents
from lora_checks.record.regression.approved import read_approved
from lora_checks.report import html

BY = ("--by", "Ann <script>", "--note", "looked at all pictures")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return page_document(tmp_path_factory.mktemp("approval"), ("good",), prompts=12, seeds=1, size=16)


def report(made: dict[str, Any], folder: Path, outcome: str = "PASS", page: bool = False) -> Path:
    """A report folder with this verdict; its rows are not asked."""
    found = copy.deepcopy(made)
    found["outcome"] = found["loras"][0]["outcome"] = outcome
    documents.write(found, folder)
    if page:
        html.write(found, folder)
    return folder


def test_an_approved_pass_is_the_next_baseline(
    made: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = report(made, tmp_path / "run")
    assert main(["approve", str(folder), *BY, "--as-baseline", str(tmp_path / "approved")]) == 0  # a folder
    assert (tmp_path / "approved" / "report.json").is_file()
    (folder / "approval.json").unlink()
    kept = tmp_path / "gate" / "approved.json"
    assert main(["approve", str(folder), *BY, "--as-baseline", str(kept)]) == 0
    assert f"--lora-baseline {kept}" in capsys.readouterr().out
    assert kept.read_bytes() == (folder / "report.json").read_bytes()
    assert main(["approve", str(kept), *BY]) == 2  # page and `verify` look beside report.json
    judged = read_approved(str(kept), Path())
    assert judged is not None
    (one,) = approval.beside(folder).approvals
    assert (one.lora, one.outcome, one.lora_sha256) == ("good", "PASS", judged.lora["sha256"])
    assert one.policy == made["run"]["policy"]["digest"]


@pytest.mark.parametrize("outcome", ["FAIL", "ERROR", "INCONCLUSIVE", "INCOMPLETE"])
def test_what_did_not_pass_is_approved_only_despite_that_and_never_released(
    made: dict[str, Any], tmp_path: Path, outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = report(made, tmp_path / "run", outcome)
    assert main(["approve", str(folder), *BY]) == 2
    assert outcome in capsys.readouterr().err
    assert not (folder / "approval.json").exists()
    despite = ["--despite", "demo on Friday"]
    assert main(["approve", str(folder), *BY, *despite, "--as-baseline", str(tmp_path / "kept.json")]) == 2
    assert not (tmp_path / "kept.json").exists()
    assert not (folder / "approval.json").exists()
    assert main(["approve", str(folder), *BY, *despite]) == 1
    claim = claim_in(folder)
    assert claim.result == "FAILED"
    assert claim.approvals[0]["despite"] == "demo on Friday"


def test_a_pass_needs_no_despite(made: dict[str, Any], tmp_path: Path) -> None:
    folder = report(made, tmp_path / "run")
    assert main(["approve", str(folder), *BY, "--despite", "x"]) == 2
    assert main(["approve", str(folder), "--by", " "]) == 2
    assert not (folder / "approval.json").exists()


def test_several_people_approve_one_report(made: dict[str, Any], tmp_path: Path) -> None:
    folder = report(made, tmp_path / "run")
    for name in ("Ann", "Ben"):
        assert main(["approve", str(folder), "--by", name]) == 0
    assert [one["by"] for one in claim_in(folder).approvals] == ["Ann", "Ben"]


def test_an_approval_of_another_report_is_ignored_loudly(
    made: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = report(made, tmp_path / "run")
    assert main(["approve", str(folder), *BY]) == 0
    other = copy.deepcopy(made)
    other["run"]["command"] = "pytest --lora other"
    documents.write(other, folder)
    beside = approval.beside(folder)
    assert beside.approvals == ()
    assert "approves another report" in beside.ignored
    with pytest.raises(ReleaseError, match="another report"):
        claim_in(folder)
    assert "approves another report" in html.html(other, folder)
    capsys.readouterr()
    assert main(["approve", str(folder), "--by", "Ben"]) == 0
    assert "the approval of an earlier report is now" in capsys.readouterr().out
    assert len(list(folder.glob("approval-of-*.json"))) == 1
    assert [one["by"] for one in claim_in(folder).approvals] == ["Ben"]


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "FAIL", "despite": "x"},
        {"despite": "x"},
        {"lora_sha256": "ab" * 32},
        {"policy": "00"},
        {"by": ""},
        {"by": 7},
        {"more": ""},
    ],
)
def test_an_approval_that_contradicts_its_report_is_ignored(
    made: dict[str, Any], tmp_path: Path, change: dict[str, Any]
) -> None:
    folder = report(made, tmp_path / "run")
    assert main(["approve", str(folder), *BY]) == 0
    path = folder / "approval.json"
    content = json.loads(path.read_text())
    content["approvals"][0] |= change
    path.write_text(json.dumps(content))
    assert "damaged or edited" in approval.beside(folder).ignored
    content.pop("sha256")
    path.write_text(json.dumps(seals.seal_json(content)))
    assert approval.beside(folder).ignored
    assert approval.beside(folder).approvals == ()


def test_page_and_card_show_it(made: dict[str, Any], tmp_path: Path) -> None:
    folder = report(made, tmp_path / "run", "FAIL", page=True)
    page = folder / "report.html"
    assert "Nobody has approved" in page.read_text()
    before = hashlib.sha256((folder / "report.json").read_bytes()).hexdigest()
    assert main(["approve", str(folder), *BY, "--despite", "demo"]) == 1
    text = page.read_text()
    assert "APPROVED DESPITE FAIL by Ann &lt;script&gt;" in text
    assert "Nobody has approved" not in text
    assert 'role="alert"' in text
    assert hashlib.sha256((folder / "report.json").read_bytes()).hexdigest() == before
    assert text == html.html(documents.read(folder), folder)  # stamped as it would be written
    assert main(["card", str(folder), "--pictures", "0", "--out", str(tmp_path / "card.md")]) == 0
    assert "APPROVED DESPITE FAIL by Ann &lt;script&gt;" in (tmp_path / "card.md").read_text()


def test_a_card_without_an_approval_names_none(made: dict[str, Any], tmp_path: Path) -> None:
    card.write(made, made["loras"][0], tmp_path / "card.md", most=0)
    assert "pproved" not in (tmp_path / "card.md").read_text()
