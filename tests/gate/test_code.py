"""Which code judged is in the record, and code in the place of the gate's own judges nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from world import Gate, Run, row

from lora_checks import metrics
from lora_checks.__main__ import main
from lora_checks.gate import code, session
from lora_checks.judge import verdict
from lora_checks.metrics import identity

OWN = """
from helper import half
from lora_checks import metric

@metric(extractor="arcface", against="nothing", per="image", better="higher", range=(0, 1))
def mine(x):
    return half(x)
"""
HELPER = "import numpy as np\ndef half(x):\n    return np.full(len(x), 0.5)\n"
REPLACE = {
    "the module's function": "from lora_checks.metrics import identity\nidentity.arcface = lambda x, y: x\n",
    "the declared metric": (
        "import dataclasses\nfrom lora_checks import metrics\n"
        "found = metrics.get('arcface')\n"
        "metrics._declared['arcface'] = dataclasses.replace(found, fn=lambda x, y: abs(x @ y.T).max(1))\n"
    ),
}


def files(run: Run) -> dict[str, dict[str, Any]]:
    return {one["file"]: one for one in run.report["run"]["code"]}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "workers"])
def test_every_file_of_code_is_in_the_record(gate: Gate, more: tuple[str, ...]) -> None:
    gate.conftest(OWN)
    (gate.folder / "helper.py").write_text(HELPER)
    (gate.folder / "plug.py").write_text("")
    rows = row("own", "mine", "min: 0") + row("identity", "arcface", "max_missing: 0.5, min: -1")
    policy = gate.world.write(gate.folder / "policy", rows)
    run = gate(
        "--lora", gate.world.good, "--lora-policy", policy, "-p", "plug", "--rootdir", gate.folder, *more
    )
    assert run.code == 0, run.out + run.err
    found = files(run)
    assert found["conftest.py"]["for"][:2] == ["conftest", "metric mine"]
    assert found["plug.py"]["for"] == ["module", "plugin"]
    for name in ("conftest.py", "helper.py", "plug.py"):
        assert found[name]["sha256"] == digest(gate.folder / name)
    assert found["gate:lora_checks/metrics/identity.py"]["sha256"] == digest(Path(str(identity.__file__)))
    if not more:
        _verified(gate, policy)


def _verified(gate: Gate, policy: Path) -> None:
    """The same report is released with this code, and with no other."""
    said = ["verify", str(gate.world.good), "--policy", str(policy), "--report", str(gate.folder / "report")]
    assert main([*said, "--code", str(gate.folder)]) == 0
    assert main(said) == 1
    (gate.folder / "helper.py").write_text(HELPER.replace("0.5", "0.9"))
    assert main([*said, "--code", str(gate.folder)]) == 1


def test_what_differs_is_said(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    gate.conftest("# reviewed\n")
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder)
    assert run.code == 0, run.out + run.err
    said = ["verify", str(gate.world.good), "--policy", str(gate.world.policy), "--report"]
    said += [str(run.report_folder), "--code"]
    assert main([*said, str(gate.folder)]) == 0
    was = digest(gate.folder / "conftest.py")[:12]
    gate.conftest("# not reviewed\n")
    assert main([*said, str(gate.folder)]) == 1
    assert f"- it was judged with other code: conftest.py was {was}, and " in capsys.readouterr().out
    (gate.folder / "conftest.py").unlink()
    assert main([*said, str(gate.folder)]) == 1
    assert (
        f"- it was judged with conftest.py ({was}), which is not here; locate it with --code DIR"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("text", list(REPLACE.values())[:2], ids=list(REPLACE)[:2])
def test_a_replaced_function_judges_nothing(gate: Gate, text: str) -> None:
    gate.conftest(text)
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder, "-k", "identity or file")
    assert run.code == 1
    found = run.row("identity")
    assert found["outcome"] == "ERROR"
    assert "not judged by the gate's own code: " in found["reason"]
    assert "arcface was replaced while the run went on" in found["reason"]


def test_workers_see_a_replaced_function_too(gate: Gate) -> None:
    gate.conftest(REPLACE["the module's function"])
    run = gate("--lora", gate.world.good, "--rootdir", gate.folder, "-n", "2")
    assert run.code == 1
    assert set(run.outcomes.values()) == {"ERROR"}


def other(*_: object) -> None:
    """Stand in for a function of the gate."""


def test_what_is_replaced_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code.replaced() == []
    for place, name in (
        (identity, "arcface"),  # a function
        (verdict, "passed"),
        (session, "documents"),  # a name taken from elsewhere
        (session.Session, "withdraw"),  # a method
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, other)
            owner = getattr(place, "__module__", None) or place.__name__
            assert any(text.startswith(owner) or "arcface" in text for text in code.replaced()), name
    with monkeypatch.context() as patch:
        patch.setattr(verdict.passed, "__code__", other.__code__)
        assert "lora_checks.judge.verdict.passed" in code.replaced()
    assert metrics.get("arcface").name == "arcface"
    assert code.replaced() == []
