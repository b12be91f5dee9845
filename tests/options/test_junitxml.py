"""--junitxml FILE is pytest's own; what is in it is tested in test_junit.py."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from world import Gate


def test_one_test_case_for_each_row(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--junitxml", "out/junit.xml")
    assert run.code == 0
    suite = ElementTree.parse(gate.folder / "out" / "junit.xml").getroot()[0]
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "test_lora_file[good]",
        "test_lora_applied[good]",
        "test_lora_threshold[good-faces]",
        "test_lora_threshold[good-identity]",
        "test_lora_threshold[good-likeness]",
        "test_lora_threshold[good-distribution]",
    ]
    assert suite.get("failures") == "0"


def test_bad_quality_is_a_failure_and_trouble_is_an_error(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"")
    run = gate("--lora", gate.world.bad, "--lora", "broken.safetensors", "--junitxml", "junit.xml")
    assert run.code == 1
    suite = ElementTree.parse(gate.folder / "junit.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "6")
