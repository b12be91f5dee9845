"""GitLab's code quality report: its documented fields and nothing that it would refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_world import HOSTILE, document, lora, measurement, refused, verdicts

from lora_checks.core.records import Threshold
from lora_checks.judge.verdict import judge
from lora_checks.report import gitlab, outputs

SEVERITIES = {"info", "minor", "major", "critical", "blocker"}


def everything() -> dict:
    """Each kind of row."""
    return document(
        verdicts("overfit"), refused("broken", "it is damaged"), missing=(("overfit", "applied"),)
    )


def test_every_issue_has_the_documented_fields() -> None:
    found = gitlab.issues(everything())
    assert len(found) == 6
    for issue in found:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert set(issue["location"]) == {"path", "lines"}
        assert issue["location"]["lines"]["begin"] >= 1
        assert not issue["location"]["path"].startswith(("./", "/"))
        assert issue["severity"] in SEVERITIES
    assert len({issue["fingerprint"] for issue in found}) == len(found)


def test_rows_that_passed_are_no_issue() -> None:
    assert gitlab.issues(document(verdicts("good", ("identity", "drift")))) == []


def test_severity_follows_the_verdict_and_an_optional_row_is_minor() -> None:
    severities = {
        issue["check_name"]: issue["severity"] for issue in gitlab.issues(document(verdicts("overfit")))
    }
    assert severities == {
        "lora_checks.prompt adherence": "critical",
        "lora_checks.not a copy": "critical",
        "lora_checks.surely clear": "major",
        "lora_checks.variety": "minor",
    }


def test_a_file_that_was_refused_is_one_issue() -> None:
    (issue,) = gitlab.issues(document(refused("broken", "it is damaged")))
    assert issue["description"] == "broken.safetensors ERROR 6 rows: it is damaged"
    assert issue["severity"] == "blocker"
    (one,) = gitlab.issues(document(refused("broken", "it is damaged")[:1]))
    assert one["description"] == "broken.safetensors ERROR prompt adherence: it is damaged"
    assert one["fingerprint"] == issue["fingerprint"]


def test_the_place_is_the_row_of_the_policy(tmp_path: Path) -> None:
    row = Threshold("a", "trunk_distance", "w", min=0.08, source=f"{tmp_path}/gate/thresholds.yaml:14")
    made = document([judge(measurement("not a copy"), row, lora("copycat"), "out")])
    (issue,) = gitlab.issues(made, tmp_path)
    assert issue["location"] == {"path": "gate/thresholds.yaml", "lines": {"begin": 14}}
    (issue,) = gitlab.issues(made, tmp_path / "elsewhere")
    assert issue["location"] == {"path": "loras/copycat.safetensors", "lines": {"begin": 1}}


def test_a_fingerprint_is_of_the_lora_and_the_row_not_of_the_value() -> None:
    before, after = (
        [
            issue["fingerprint"]
            for issue in gitlab.issues(document(verdicts("overfit", ("not a copy",), value=v)))
        ]
        for v in (0.031, 0.032)
    )
    assert before == after


def test_hostile_names_stay_text() -> None:
    for issue in gitlab.issues(document(verdicts(HOSTILE), refused(f"b{HOSTILE}", HOSTILE))):
        assert all(text.isprintable() for text in (issue["description"], issue["check_name"]))
        assert issue["location"]["path"].isprintable()


def test_it_is_written_in_gitlab_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITLAB_CI", raising=False)
    outputs.write(everything(), tmp_path / "here")
    assert not (tmp_path / "here" / gitlab.FILE).exists()
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    outputs.write(everything(), tmp_path / "there")
    assert json.loads((tmp_path / "there" / gitlab.FILE).read_text()) == gitlab.issues(everything(), tmp_path)
