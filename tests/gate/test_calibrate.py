"""`python -m lora_checks calibrate` on the miniature: what it proposes can be pasted, and then gates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from world import IDENTITY, Gate, Run, World, row, run_module

from lora_checks.core.errors import ConfigError
from lora_checks.gate.calibrate import labelled, reseeded
from lora_checks.policy import reading

ROWS = (
    row("faces", "arcface", "stat: missing, max: 0.5")
    + row("identity", "arcface", "max_missing: 0.5, min: -0.9, rule: bound", "'it is: the person'")
    + row("likeness", "trunk_distance", "max: 3.0, bands: {near: 0.25, far: 0.5}")
    + row("mine", "own_sum", "min: 0")
)
OWN = """\
from lora_checks import metric


@metric(extractor="", against="nothing", per="image", better="higher", range=(0, float("inf")))
def own_sum(x):
    return [float(picture.sum()) for picture in x]
"""


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Calibrate = Callable[..., Done]


@pytest.fixture
def calibrate(gate: Gate) -> Calibrate:
    """In the folder of the test, on the store where the images of the policy's own seeds lie."""

    def run(policy: Path, good: Path, bad: Path) -> Done:
        where = ("--policy", policy, "--store", gate.world.store, "--device", "cpu")
        done = run_module(
            "lora_checks", "calibrate", *where, "--good", good, "--bad", bad, folder=gate.folder
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def pasted(policy: Path, text: str) -> None:
    path = policy / "thresholds.yaml"
    head, _, _ = path.read_text().partition("checks:\n")
    path.write_text(head + text)


def test_what_is_proposed_can_be_pasted_and_gates(gate: Gate, calibrate: Calibrate) -> None:
    policy = gate.world.write(gate.folder / "policy", ROWS)
    gate.conftest(OWN)
    before = {one.name: one for one in reading.load_policy(policy).thresholds}
    done = calibrate(policy, gate.world.good, gate.world.bad)
    assert done.code == 0, done.out + done.err
    pasted(policy, done.out)
    after = {one.name: one for one in reading.load_policy(policy).thresholds}
    assert list(after) == list(before)
    assert after["faces"].max == 0.5
    assert after["faces"].calibrated_on is None
    assert "max 0.500 is left as it is: it separates nothing" in done.out
    found = after["identity"].calibrated_on
    assert found is not None
    assert (found.good, found.bad, found.n) == (("good",), ("wrong-identity",), 8)
    assert after["identity"].why == "it is: the person"
    assert after["likeness"].bands == (("near", 0.25), ("far", 0.5))
    run = gate("--lora", gate.world.good, "--lora", gate.world.bad, "--lora-policy", policy)
    _assert_separates(run, {"faces": "PASS", "identity": "FAIL", "likeness": "FAIL"})
    assert run.outcomes[("good", "mine")] == "PASS"
    good, bad = (run.row("identity", name)["measurement"] for name in ("good", "wrong-identity"))
    assert bad["high"] < (after["identity"].min or -1) < good["low"]


def _assert_separates(run: Run, of_bad: dict[str, str]) -> None:
    assert run.code == 1, run.out + run.err
    assert {run.outcomes[("good", name)] for name in of_bad} == {"PASS"}
    assert {name: run.outcomes[("wrong-identity", name)] for name in of_bad} == of_bad


def test_labels_the_wrong_way_round_are_refused_in_words(gate: Gate, calibrate: Calibrate) -> None:
    policy = gate.world.write(
        gate.folder / "policy", row("identity", "arcface", f"max_missing: 0.5, min: {IDENTITY}")
    )
    done = calibrate(policy, gate.world.bad, gate.world.good)
    assert done.code == 1, done.out + done.err
    assert "not calibrated: good 'wrong-identity' would not pass" in " ".join(done.out.split("\n  #  "))
    assert "# Not calibrated: identity." in done.out
    assert "# No row stops bad 'good': add one that does." in done.out
    before = reading.load_policy(policy).thresholds
    pasted(policy, done.out)
    assert [one.min for one in reading.load_policy(policy).thresholds] == [one.min for one in before]


def test_a_file_that_is_no_lora_or_both_good_and_bad_is_one_sentence(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--bad: .*nothing.safetensors does not exist"):
        labelled([str(world.good)], ["nothing.safetensors"], tmp_path)
    (tmp_path / "copy.safetensors").write_bytes(world.good.read_bytes())
    for twin in (world.good, tmp_path / "copy.safetensors"):
        with pytest.raises(ConfigError, match=r"is good and .* is bad, but they are the same file"):
            labelled([str(world.good)], [str(twin)], tmp_path)
    with pytest.raises(
        ConfigError, match=r"is good and .*copy.safetensors is good, but they are the same file"
    ):
        labelled([str(world.good), "copy.safetensors"], [str(world.bad)], tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(ConfigError, match=r"^--bad: .*; the gate refuses it whatever the limits are"):
        labelled([str(world.good)], [str(tmp_path / "broken.safetensors")], tmp_path)


def test_other_seeds_share_none_with_the_policy_s(world: World) -> None:
    said = reading.load_policy(world.policy, seeds=3).prompts
    other = reseeded(said)
    assert len(other.seeds) == 3
    assert not set(other.seeds) & set(said.seeds)
    assert other.prompts == said.prompts
