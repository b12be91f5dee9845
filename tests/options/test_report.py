"""--lora-report DIR: where report.json and report.md go."""

from __future__ import annotations

import json

from world import Gate


def test_a_folder_of_ones_own(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-report", "out/new")
    folder = gate.folder / "out" / "new"
    assert json.loads((folder / "report.json").read_text())["outcome"] == "PASS"
    assert (folder / "report.md").read_text().startswith("# PASS: good.safetensors, 6 of 6 rows")
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert "report: out/new/report.html" in run.out


def test_the_default_is_in_the_store(gate: Gate) -> None:
    run = gate.pytest(
        "--lora", gate.world.good, "--lora-policy", gate.world.policy, "--lora-store", gate.world.store
    )
    assert run.code == 0, run.out + run.err
    assert (gate.world.store / "report" / "report.json").is_file()


def test_a_folder_that_cannot_be_written_is_known_at_once(gate: Gate) -> None:
    (gate.folder / "file").write_text("")
    run = gate("--lora", gate.world.good, "--lora-report", "file/out")
    assert run.code == 4
    assert "cannot write the report to" in run.err
    assert "name another folder with --lora-report" in run.err
    assert "Traceback" not in run.out + run.err


def test_the_record_says_what_was_gated(gate: Gate) -> None:
    import hashlib

    run = gate("--lora", gate.world.good)
    (lora,) = run.report["loras"]
    assert lora["sha256"] == hashlib.sha256(gate.world.good.read_bytes()).hexdigest()
    facts = run.report["run"]
    assert len(facts["base"]["digest"]) == 64
    assert len(facts["policy"]["digest"]) == 64
    assert {version.split()[0] for version in facts["versions"]} >= {"torch", "diffusers"}
    network = run.row("identity")["measurement"]["network"]
    assert network.startswith("arcface/1 arcface/3 ")


def test_a_run_that_is_killed_leaves_no_pass_of_an_earlier_one(gate: Gate) -> None:
    junit = gate.folder / "junit.xml"
    first = gate("--lora", gate.world.good, "--junitxml", junit)
    assert first.report["outcome"] == "PASS"
    assert gate("--lora", gate.world.good, "--co").code == 1
    assert (first.report_folder / "report.json").exists()  # a list judges nothing, and writes nothing
    (gate.folder / "leave.py").write_text("import os\ndef pytest_collection():\n    os._exit(137)\n")
    run = gate("-p", "leave", "--lora", gate.world.bad, "--junitxml", junit)
    assert run.code == 137
    assert [path.name for path in run.report_folder.iterdir() if path.is_file()] == []
    assert not junit.exists()
