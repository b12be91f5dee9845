"""The ledger of a run: what has to pass, what was judged, and what that comes to."""

from __future__ import annotations

import itertools
import subprocess
import sys

import pytest

from lora_checks.core.records import Allowance, Outcome, Threshold, Verdict
from lora_checks.gate.ledger import Ledger, required

NEEDED = (("good", "file"), ("good", "applied"), ("good", "identity"))


def verdict(check: str, outcome: Outcome = Outcome.PASS, lora: str = "good") -> Verdict:
    return Verdict(lora, "0" * 64, check, outcome, f"{check} is {outcome.value}")


def ledger(*verdicts: Verdict) -> Ledger:
    made = Ledger(NEEDED)
    for each in verdicts:
        made.enter(each)
    return made


def test_nothing_judged_is_no_pass() -> None:
    assert ledger().outcome == "INCOMPLETE"
    assert Ledger(()).outcome == "INCOMPLETE"  # not even where nothing is required


def test_every_required_row_has_to_pass() -> None:
    rows = [verdict(check) for _, check in NEEDED]
    assert ledger(*rows).outcome == "PASS"
    for n in range(len(rows)):
        for some in itertools.combinations(rows, n):
            assert ledger(*some).outcome == "INCOMPLETE"
            judged = {each.check for each in some}
            assert ledger(*some).not_passed == [pair for pair in NEEDED if pair[1] not in judged]


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.PASS])
def test_a_row_that_did_not_pass_decides(outcome: Outcome) -> None:
    rows = [verdict("file"), verdict("applied"), verdict("identity", outcome)]
    assert ledger(*rows).outcome == outcome.value
    assert ledger(*rows).not_passed == [("good", "identity")]


@pytest.mark.parametrize("order", list(itertools.permutations([Outcome.PASS, Outcome.FAIL, Outcome.PASS])))
def test_of_two_verdicts_of_a_row_the_one_that_is_not_pass_wins(order: tuple[Outcome, ...]) -> None:
    made = ledger(*(verdict("identity", outcome) for outcome in order))
    assert made.verdicts["good", "identity"].outcome is Outcome.FAIL


def test_the_first_verdict_that_is_not_pass_stays() -> None:
    made = ledger(verdict("identity", Outcome.ERROR))
    assert not made.enter(verdict("identity", Outcome.FAIL))
    assert not made.enter(verdict("identity", Outcome.ERROR))  # each phase of a test reports it again
    assert made.verdicts["good", "identity"].outcome is Outcome.ERROR


def test_a_rerun_that_passes_changes_no_verdict() -> None:
    made = ledger(verdict("identity", Outcome.FAIL))
    assert not made.enter(verdict("identity"), again=True)
    assert not made.enter(verdict("identity"), again=True)  # another phase
    found = made.verdicts["good", "identity"]
    assert found.outcome is Outcome.FAIL
    assert found.reason.count("a rerun passed") == 1


def test_a_pass_that_is_reported_again_counts_once() -> None:
    made = Ledger(NEEDED)
    assert [made.enter(verdict("file")) for _ in range(3)] == [True, False, False]


def test_another_failure_spoils_a_pass_and_no_worse_outcome() -> None:
    made = ledger(*(verdict(check) for _, check in NEEDED))
    made.enter_failure("my_checks/test_glasses.py::test_glasses")
    assert made.outcome == "ERROR"
    made = ledger(verdict("file"), verdict("applied"), verdict("identity", Outcome.FAIL))
    made.enter_failure("my_checks/test_glasses.py::test_glasses")
    assert made.outcome == "FAIL"


def test_another_loras_row_is_not_this_ones() -> None:
    made = ledger(verdict("file"), verdict("applied"), verdict("identity", lora="other"))
    assert made.outcome == "INCOMPLETE"
    assert [each.check for each in made.of("other")] == ["identity"]


def test_what_is_required() -> None:
    rows = (
        Threshold("identity", "arcface", "it is the person", min=0.4),
        Threshold("taste", "aesthetic", "people like it", min=5.0, required=False),
    )
    pairs = required(["a", "b"], ("file", "applied"), rows, ())
    assert pairs == tuple((lora, check) for lora in "ab" for check in ("file", "applied", "identity"))
    allowance = Allowance("identity", "bound", 0.02)
    assert required(["a"], ("images",), rows, (allowance,)) == (
        ("a", "images"),
        ("a", "identity"),
        ("a", allowance.check),
    )


def test_the_ledger_needs_no_pytest() -> None:
    code = "import sys, lora_checks.gate.ledger; print({'pytest', '_pytest', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
