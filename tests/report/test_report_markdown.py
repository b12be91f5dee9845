"""The Markdown of a job summary."""

from __future__ import annotations

import pytest
from report_world import HOSTILE, ROWS, document, refused, verdicts

from lora_checks.judge.verdict import error
from lora_checks.report import markdown
from lora_checks.report.markdown import escape, render


def cells(line: str) -> int:
    return line.replace("\\|", "").count("|") - 1


def test_the_verdict_is_the_first_line() -> None:
    assert render(document(verdicts())).startswith("# FAIL: overfit.safetensors, 2 of 5 rows")
    assert render(document(verdicts("g", ("drift",)))).startswith("# PASS: g.safetensors, 1 of 1 row\n")


def test_the_table_has_a_row_for_each_check_and_the_words_below() -> None:
    found = render(document(verdicts(), missing=(("overfit", "hands"),)))
    table = [line for line in found.splitlines() if line.startswith("| ")]
    assert len(table) == 2 + len(ROWS) + 1
    assert {cells(line) for line in table} == {8}
    assert "| FAIL | not a copy | trunk\\_distance | 0.031 | \\[0.022, 0.040\\] | min 0.080 |" in found
    assert "| NOT RUN | hands |" in found
    (why,) = [line for line in found.splitlines() if line.startswith("- **FAIL** not a copy: ")]
    assert "the difference from" in why
    assert "mean trunk\\_distance 0.031" in why


def test_a_finished_run_begins_with_sentences_for_people() -> None:
    found = render(document(verdicts(), finished="2026-11-24T18:57:57+00:00"))
    told = found.split("\n\n")[1]
    assert "overfit.safetensors" in told
    assert "did not pass" in told
    assert "did not pass" not in render(document(verdicts())).split("\n\n")[1]
    assert "policy miniature abcdef" in found


def test_rows_of_bounds_state_how_often_they_pass_a_bad_lora() -> None:
    assert "about 5 % of runs at most" in render(document(verdicts()))
    assert "of runs" not in render(document(verdicts("g", ("drift",))))


def test_a_refused_file_is_one_line() -> None:
    found = render(document(refused("broken", "damaged: export it again")))
    assert found.count("damaged: export it again") == 1


def test_nothing_from_outside_becomes_markup() -> None:
    found = render(document(verdicts(HOSTILE), [error("b", "", HOSTILE, None, HOSTILE)]))
    found.encode()  # no lone surrogate
    for markup in ("<script", "\x1b", "\x00", "http://", "`c`", "](", "@team"):
        assert markup not in found.replace("\\`", "").replace("\\]", "")
    assert {cells(line) for line in found.splitlines() if line.startswith("| ")} == {4, 5, 8}


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a|b", "a\\|b"),
        ("`x`", "\\`x\\`"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("two\nlines", "two lines"),
        ("0.5 [0.4, 0.6] - x", "0.5 \\[0.4, 0.6\\] - x"),
        ("www.evil.example", "www&#46;evil.example"),
        ("https://x", "https&#58;//x"),
    ],
)
def test_escape(text: str, safe: str) -> None:
    assert escape(text) == safe


def test_a_summary_stays_under_githubs_limit_and_names_what_it_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert markdown.MOST < 1024 * 1024
    monkeypatch.setattr(markdown, "MOST", 20_000)
    found = render(document(*(verdicts(f"{i:03}") for i in range(40))))
    assert len(found.encode()) < 20_100
    assert found.startswith("# FAIL: 0 of 40 LoRAs passed; 40 failed")
    shown = found.count("\n## ")
    assert found.endswith(f"\n{40 - shown} more LoRAs: see report.json\n")


def test_what_did_not_pass_comes_first() -> None:
    found = render(document(verdicts("good", ("drift",)), verdicts("overfit")))
    assert found.index("## overfit") < found.index("## good")
