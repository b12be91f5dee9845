"""JUnit properties: read back from the XML that pytest writes, over xdist."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from report_world import HOSTILE, ROWS, lora, measurement, refused, verdicts

from lora_checks.judge.verdict import judge
from lora_checks.record import document
from lora_checks.report.junit import properties


def test_the_properties_say_what_was_judged() -> None:
    found = dict(properties(document.row(verdicts(checks=("drift",))[0])))
    assert found == {
        "lora": "overfit",
        "lora_sha256": "9c1e" * 16,
        "check": "drift",
        "verdict": "PASS",
        "reason": "mean lpips 0.181 [0.170, 0.190] meets max 0.250",
        "required": "true",
        "metric": "lpips",
        "stat": "mean",
        "rule": "estimate",
        "value": "0.181",
        "low": "0.17",
        "high": "0.19",
        "confidence": "0.95",
        "sides": "2",
        "threshold_max": "0.25",
        "direction": "lower is better",
        "band": "good",
        "n": "31",
        "missing": "0",
        "prompts": "16",
        "network": "net:1",
        "network_label": "the miniature's trunk",
        "against": "references (24)",
        "images": "out/overfit",
    }


def test_what_does_not_exist_has_no_property() -> None:
    found = dict(properties(document.row(refused("broken", "damaged")[0])))
    assert found["verdict"] == "ERROR"
    assert not {"value", "low", "high", "confidence", "n", "direction", "images"} & set(found)


def test_zero_is_a_value() -> None:
    zero = measurement("identity", value=0.0, low=None, high=None)
    found = dict(properties(document.row(judge(zero, ROWS["identity"], lora("a")))))
    assert (found["value"], found["missing"]) == ("0.0", "0")


CHECK = """
import json, pathlib
from lora_checks.record import document
from lora_checks.report.junit import properties

def test_row(request):
    verdict = document.verdict_from_json(pathlib.Path(__file__).with_name("verdict.json").read_text())
    request.node.user_properties.append(("lora_checks_verdict", document.verdict_to_json(verdict)))
    request.node.user_properties.extend(properties(document.row(verdict)))
"""


def test_properties_and_verdict_survive_xdist_and_the_xml(tmp_path: Path) -> None:
    awkward = measurement(
        "identity", value=0.1 + 0.2, low=1e-17, high=1 / 3, worst=(HOSTILE, 0.1), label=f"net {HOSTILE}"
    )
    verdict = judge(awkward, ROWS["identity"], lora("a"), HOSTILE)
    (tmp_path / "verdict.json").write_text(document.verdict_to_json(verdict))
    (tmp_path / "test_row.py").write_text(CHECK)
    command = [sys.executable, "-m", "pytest", "-q", "-n1", "-p", "no:cacheprovider", "--junitxml=out.xml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

    written = ElementTree.parse(tmp_path / "out.xml").iterfind(".//testcase/properties/property")
    found = {item.attrib["name"]: item.attrib["value"] for item in written}
    assert document.verdict_from_json(found.pop("lora_checks_verdict")) == verdict
    assert [float(found[name]) for name in ("value", "low", "high")] == [0.1 + 0.2, 1e-17, 1 / 3]
    assert found == dict(properties(json.loads(json.dumps(document.row(verdict)))))
