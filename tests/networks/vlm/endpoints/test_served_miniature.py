"""The miniature's seven questions behind a real `transformers serve` have the answers that they have here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from judged_world import MINIATURE, MODEL, POLICY, measured, opened, verdicts
from served_vlm import served

from lora_checks.core.records import Measurement, Policy
from lora_checks.policy.reading import load_policy

pytestmark = pytest.mark.torch
pytest.importorskip("transformers.decision", reason="transformers has no typed decisions")
for package in ("fastapi", "uvicorn", "openai"):
    pytest.importorskip(package, reason=f"transformers serve needs {package}")

IN_PROCESS = "{kind: judge, api: transformers, path: ../evaluators/vlm, name: the miniature's vision model}"
SEVEN = {"person", "same-person", "adherence", "adherence-simple", "quality", "limbs", "artifacts"}


def asking_elsewhere(folder: Path, model: Path, address: str) -> Policy:
    """Return the policy `judged` with its vision model behind an address."""
    there = f"{{kind: judge, api: systemone, model: {model}, endpoint: '{address}'}}"
    for name in ("thresholds.yaml", "prompts.yaml"):
        text = (POLICY / name).read_text(encoding="utf-8")
        assert (IN_PROCESS in text) == (name == "thresholds.yaml")
        text = text.replace(IN_PROCESS, there).replace("../", f"{MINIATURE}/")
        (folder / name).write_text(text.replace(" bad ", f" {POLICY}/bad "), encoding="utf-8")
    return load_policy(folder)


def answered(policy: Policy, store: Path) -> dict[str, Measurement]:
    return measured(opened(policy, store), policy, "good")


def test_values_intervals_and_verdicts_are_those_of_this_process(tmp_path: Path) -> None:
    model = Path(shutil.copytree(MODEL, tmp_path / "vlm"))  # the server's log goes beside the weights
    here_policy = load_policy(POLICY)
    here = answered(here_policy, tmp_path / "here")
    (tmp_path / "judged").mkdir()
    with served(model) as address:
        there_policy = asking_elsewhere(tmp_path / "judged", model, address)
        there = answered(there_policy, tmp_path / "there")
    assert set(there) == set(here) == SEVEN
    for name, one in here.items():
        other = there[name]
        assert dict(other.per_image) == pytest.approx(dict(one.per_image), abs=1e-6), name
        assert (other.value, other.low, other.high) == pytest.approx((one.value, one.low, one.high), abs=1e-6)
    outcomes = [
        {name: each.outcome for name, each in verdicts(policy, found).items()}
        for policy, found in ((here_policy, here), (there_policy, there))
    ]
    assert outcomes[0] == outcomes[1]
