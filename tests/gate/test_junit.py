"""The JUnit file of a real run: what CI servers and dashboards read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from junitparser import Error, Failure, JUnitXml
from lxml import etree
from world import Gate, Run

GRAMMAR = etree.RelaxNG(etree.parse(Path(__file__).parent.parent / "data" / "xunit2.rng"))


def refusals(file: Path) -> list[str]:
    """Why a file is no xunit2."""
    GRAMMAR.validate(etree.parse(file))
    return [f"line {entry.line}: {entry.message}" for entry in GRAMMAR.error_log]


def properties(file: Path) -> dict[str, str]:
    (suite,) = JUnitXml.fromfile(str(file))
    return {found.name: found.value for found in suite.properties()}


@pytest.fixture
def junit(first_run: Run) -> Path:
    """Of a LoRA that passes and one that fails."""
    return first_run.report_folder.parent / "junit.xml"


@pytest.fixture
def troubled(gate: Gate) -> Path:
    """Of a file that is refused, under a name that XML, terminals and workers choke on."""
    name = "a&<b>\x1b[31m\u202eü.safetensors"
    (gate.folder / name).write_bytes(b"")
    run = gate("--lora", gate.folder / name, "--junitxml", "junit.xml")
    assert run.code == 1
    return gate.folder / "junit.xml"


def test_it_is_valid(junit: Path) -> None:
    assert refusals(junit) == []


def test_it_is_valid_for_a_hostile_name(troubled: Path) -> None:
    assert refusals(troubled) == []


def test_it_is_valid_with_workers(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "-n", "2", "--junitxml", "junit.xml")
    assert run.code == 0, run.out + run.err
    assert refusals(gate.folder / "junit.xml") == []
    assert properties(gate.folder / "junit.xml")["lora_checks.good.identity.verdict"] == "PASS"


def test_the_grammar_refuses_what_xunit2_does_not_have(tmp_path: Path) -> None:
    case = (
        "<testsuite name='a' tests='1' failures='0' errors='0'><testcase name='b'>{}</testcase></testsuite>"
    )
    (tmp_path / "good.xml").write_text(case.format("<failure message='x'>y</failure>"))
    (tmp_path / "bad.xml").write_text(case.format("<properties><property name='a' value='b'/></properties>"))
    assert refusals(tmp_path / "good.xml") == []
    assert refusals(tmp_path / "bad.xml") != []


def test_a_parser_reads_the_results(junit: Path) -> None:
    (suite,) = JUnitXml.fromfile(str(junit))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (12, 1, 0, 0)
    (failed,) = [case for case in suite if case.result]
    assert failed.name == "test_lora_threshold[wrong-identity-identity]"
    (result,) = failed.result
    assert isinstance(result, Failure)
    assert "mean arcface" in result.text
    assert "is below min" in result.text
    assert ".py" not in result.text  # a sentence, no traceback


def test_trouble_is_an_error_and_not_a_failure(troubled: Path) -> None:
    (suite,) = JUnitXml.fromfile(str(troubled))
    assert {type(result) for case in suite for result in case.result} == {Error}


def test_the_properties_carry_the_verdicts(junit: Path, first_run: Run, gate: Gate) -> None:
    found = properties(junit)
    assert found["lora_checks.outcome"] == "FAIL"
    row = first_run.row("identity", "wrong-identity")
    prefix = "lora_checks.wrong-identity.identity."
    own = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    assert float(own["value"]) == row["measurement"]["value"]
    assert float(own["low"]) < float(own["value"]) < float(own["high"])
    assert float(own["threshold_min"]) == row["threshold"]["min"]
    assert own["direction"] == "higher is better"
    assert own["verdict"] == "FAIL"
    assert int(own["n"]) + int(own["missing"]) == 8
    assert own["lora_sha256"] == hashlib.sha256(gate.world.bad.read_bytes()).hexdigest()
    assert own["images"].startswith("..") or "store" in own["images"]


def test_every_row_of_every_lora_has_a_verdict_there(junit: Path, first_run: Run) -> None:
    verdicts = {
        tuple(name.split(".")[1:3]): value
        for name, value in properties(junit).items()
        if name.endswith(".verdict")
    }
    assert verdicts == first_run.outcomes


@pytest.mark.parametrize(
    ("arguments", "conftest", "outcome"),
    [
        (("-k", "faces"), "", "INCOMPLETE"),
        (("--co",), "", "INCOMPLETE"),
        ((), "skip", "INCOMPLETE"),
        ((), "xfail", "FAIL"),
    ],
)
def test_without_a_pass_there_is_a_failure_in_it(
    gate: Gate, arguments: tuple[str, ...], conftest: str, outcome: str
) -> None:
    """A CI server reads this file alone."""
    if conftest:
        mark = f"        item.add_marker(pytest.mark.{conftest})\n"
        gate.conftest(
            f"import pytest\ndef pytest_collection_modifyitems(items):\n    for item in items:\n{mark}"
        )
    assert gate("--lora", gate.world.bad, "--junitxml", "junit.xml", *arguments).code == 1
    file = gate.folder / "junit.xml"
    (suite,) = JUnitXml.fromfile(str(file))
    (error,) = [result for case in suite for result in case.result if isinstance(result, Error)]
    assert error.text.startswith(f"{outcome}: not passed: wrong-identity ")
    assert (suite.errors, suite.failures) == (1, 0)
    assert refusals(file) == []
