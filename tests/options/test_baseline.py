"""--lora-baseline report.json: no worse than the last approved release, on the same prompts and seeds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from world import MINIATURE, ROWS, Gate, Run, World

import lora_checks.record.document
import lora_checks.report
from lora_checks.__main__ import main

REPORT_MODULE = Path(lora_checks.report.__file__).parent
LENIENT = ROWS.replace("min: 0.45", "min: -1").replace("max: 0.5,", "max: 1,").replace("0.5", "1")
ALLOWED = "regression: {identity: 0.05, distribution: 100000, faces: 0.5}\n"


@pytest.fixture(scope="module")
def approved(world: World, first_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report by which "good" was released, and nothing else of that run."""
    assert first_run.code == 1
    gate = Gate(tmp_path_factory.mktemp("approved"), world)
    run = gate("--lora", world.good)
    assert run.code == 0, run.out + run.err
    return Path(shutil.copy(run.report_folder / "report.json", gate.folder / "approved.json"))


@pytest.fixture
def policy(gate: Gate) -> Path:
    return gate.world.write(gate.folder / "policy", LENIENT + ALLOWED)


@pytest.fixture
def edited(gate: Gate, approved: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """The approved report with something in it changed, as another machine would have written it."""

    def edit(change: Callable[[dict[str, Any]], None]) -> Path:
        document = json.loads(approved.read_text())
        del document["sha256"]
        change(document)
        path = gate.folder / f"edited{len(list(gate.folder.glob('edited*')))}.json"
        path.write_text(json.dumps(document))
        return path

    return edit


def rows_of(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {found["check"]: found for found in document["loras"][0]["rows"]}


def compared(run: Run) -> dict[str, dict[str, Any]]:
    return {found["check"]: found for found in run.report["baseline"]["rows"]}


def test_a_row_that_became_worse_than_allowed_fails_and_says_where(
    gate: Gate, policy: Path, approved: Path
) -> None:
    run = gate("--lora", gate.world.bad, "--lora-policy", policy, "--lora-baseline", approved)
    assert run.code == 1
    failed = [check for (_, check), outcome in run.outcomes.items() if outcome != "PASS"]
    assert failed == ["regression-identity"], run.out + run.err
    found, name = compared(run)["identity"], gate.world.bad.stem
    assert (found["lora"], found["kind"], found["allowed"], found["outcome"]) == (
        name,
        "images",
        0.05,
        "FAIL",
    )
    values = {
        check: dict(one["measurement"]["per_image"])
        for check, one in (
            ("before", rows_of(json.loads(approved.read_text()))["identity"]),
            ("now", run.row("identity", name)),
        )
    }
    pairs = [
        (x, y)
        for x, y in ((values["before"][image], now) for image, now in values["now"].items())
        if x is not None and y is not None
    ]
    assert found["pairs"] == len(pairs)
    assert found["difference"] == pytest.approx(sum(y - x for x, y in pairs) / len(pairs))
    assert found["low"] < found["difference"] < found["high"] < -0.05
    worst, before, now, moved = found["prompts"][0]
    assert moved == pytest.approx(now - before) == min(one[3] for one in found["prompts"])
    reason = run.row("regression-identity", name)["reason"]
    assert "worse by more than the allowed 0.05" in reason
    assert f"worsened most: {worst} " in reason
    assert f"[{found['low']:.3f}, {found['high']:.3f}]" in reason
    assert "FAIL  regression-identity" in run.out
    assert "compared with good" in run.out
    assert "regression-identity" in (run.report_folder / "report.md").read_text()


def test_the_same_lora_is_no_worse_than_itself(gate: Gate, policy: Path, approved: Path) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", approved)
    assert run.code == 0, run.out + run.err
    document = json.loads(approved.read_text())
    section = run.report["baseline"]
    assert section["lora"] == "good"
    assert section["lora_sha256"] == document["loras"][0]["sha256"]
    assert section["path"] == str(approved)
    assert section["pictures"] == document["loras"][0]["pictures"]
    for found in section["rows"]:
        assert (found["difference"], found["low"], found["high"]) == (0, 0, 0), found
        assert found["before"] == found["value"]
    assert [found["check"] for found in section["rows"] if found["outcome"]] == [
        *("identity", "distribution", "faces"),
    ]
    assert compared(run)["likeness"]["allowed"] is None
    schema = json.loads((REPORT_MODULE / "schema.json").read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(run.report)] == []


def test_a_limit_that_moved_since_is_said_and_no_obstacle(gate: Gate, policy: Path, approved: Path) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", approved)
    moved = run.report["baseline"]["policy_differences"]
    assert "identity: min 0.450 -> -1.000, looser" in moved
    assert "faces: max 0.500 -> 1.000, looser" in moved
    said = "the policy differs from the baseline's: "
    assert said in run.out
    assert said in (run.report_folder / "report.md").read_text()


def of_run(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["run"].update(changes)


def other_weights(document: dict[str, Any]) -> None:
    rows_of(document)["identity"]["measurement"]["network"] = "arcface/1 arcface another pack"


def other_references(document: dict[str, Any]) -> None:
    document["run"]["folders"]["references"]["digest"] = "ab" * 32


def other_base(document: dict[str, Any]) -> None:
    document["run"]["base"]["digest"] = "cd" * 32


def other_strength(document: dict[str, Any]) -> None:
    document["loras"][0]["scale"] = 0.8


COMPANION = {"name": "style", "path": "style.safetensors", "sha256": "ef" * 32, "scale": 0.7}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (of_run(hardware="cuda NVIDIA A10G"), "hardware: cuda NVIDIA A10G before, cpu now"),
        (other_base, "base: "),
        (of_run(dtype="float16"), "format: float16 before, float32 now"),
        (of_run(seeds=[1, 2]), "seeds: [1, 2] before, [1] now"),
        (
            of_run(companions=[COMPANION]),
            "other LoRAs on every image: style:0.7 efefefefefef before, none now",
        ),
        (other_strength, "strength of the LoRA: 0.8 before, 1.0 now"),
        (other_references, f"pictures in references: {'ab' * 32} before, "),
        (other_weights, "network: arcface/1 arcface another pack before, arcface/1 "),
    ],
    ids=["hardware", "base", "format", "seeds", "companions", "strength", "references", "weights"],
)
def test_what_was_made_or_measured_otherwise_is_not_compared(
    gate: Gate,
    policy: Path,
    edited: Callable[[Callable[[dict[str, Any]], None]], Path],
    change: Callable[[dict[str, Any]], None],
    sentence: str,
) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", edited(change))
    assert run.code == 1
    assert run.outcomes["good", "regression-identity"] == "ERROR", run.out + run.err
    assert run.outcomes["good", "identity"] == "PASS"
    reason = run.row("regression-identity")["reason"]
    assert reason.startswith("identity cannot be compared with the approved good ")
    assert sentence in reason
    assert compared(run)["identity"]["difference"] is None
    assert sentence in compared(run)["identity"]["not_compared"]


def test_weights_of_one_row_are_that_rows_obstacle_only(
    gate: Gate, policy: Path, edited: Callable[[Callable[[dict[str, Any]], None]], Path]
) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", edited(other_weights))
    outcomes = [
        run.outcomes["good", f"regression-{check}"] for check in ("identity", "faces", "distribution")
    ]
    assert outcomes == ["ERROR", "PASS", "PASS"]


def test_other_prompts_and_another_sampler_are_known_before_anything_is_made(
    gate: Gate, approved: Path
) -> None:
    policy = gate.world.write(gate.folder / "policy", LENIENT + ALLOWED, prompts=7)
    text = (policy / "prompts.yaml").read_text()
    (policy / "prompts.yaml").write_text(text.replace("guidance: 2.0", "guidance: 3.0"))
    run = gate(
        "--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", approved, "--setup-plan"
    )
    told = (
        "--lora-baseline: cannot be compared with this run: "
        "sampler's guidance: 2.0 before, 3.0 now; prompt black"
    )
    assert told in run.err


def test_other_references_are_other_references(gate: Gate, policy: Path, approved: Path) -> None:
    (gate.folder / "photos").mkdir()
    for picture in sorted((MINIATURE / "references").glob("*.png"))[:3]:
        shutil.copy(picture, gate.folder / "photos")
    arguments = (
        "--lora-policy",
        policy,
        "--lora-baseline",
        approved,
        "--lora-references",
        "photos",
        "-k",
        "identity",
    )
    run = gate("--lora", gate.world.good, *arguments)
    assert "against references (24)" in run.row("regression-identity")["reason"]
    assert "against references (3)" in run.row("regression-identity")["reason"]


def test_an_image_without_a_counterpart_is_said_and_counts_for_nothing(
    gate: Gate, policy: Path, edited: Callable[[Callable[[dict[str, Any]], None]], Path]
) -> None:
    def without(document: dict[str, Any]) -> None:
        values = rows_of(document)["likeness"]["measurement"]["per_image"]
        values[0][1] = None
        del values[1]

    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", edited(without))
    found = compared(run)["likeness"]
    assert (found["pairs"], found["found"], found["lost"], found["absent"]) == (6, 1, 0, 1)
    assert found["difference"] == 0
    page = (run.report_folder / "report.md").read_text()
    assert "1 image had none before; 1 image of one run" in page


def test_without_regression_in_the_policy_it_informs(gate: Gate, approved: Path) -> None:
    policy = gate.world.write(gate.folder / "policy", LENIENT)
    run = gate("--lora", gate.world.bad, "--lora-policy", policy, "--lora-baseline", approved)
    assert run.code == 0, run.out + run.err
    told = " ".join(run.out.split())  # whatever the width of the terminal
    assert "the policy has no 'regression:', so no difference is limited" in told
    assert "worse than the baseline, which no limit forbids: " in told
    assert compared(run)["identity"]["difference"] < -0.05
    assert compared(run)["identity"]["outcome"] == ""


def test_a_policy_that_compares_must_be_told_with_what(gate: Gate, policy: Path) -> None:
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 4
    assert (
        "regression: compares with the last approved release; name its report with --lora-baseline" in run.err
    )
    first = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", "none")
    assert first.code == 0, first.out + first.err
    assert first.report["baseline"]["note"] == "not compared with an earlier release: --lora-baseline none"
    assert "not compared with an earlier release: --lora-baseline none" in first.out
    assert "regression-identity" not in {check for _, check in first.outcomes}


def killed(run: Run, folder: Path) -> Path:
    """What a run leaves that is killed after its last verdict."""
    folder.mkdir()
    return Path(shutil.copy(run.report_folder / "verdicts.jsonl", folder)).parent


def test_a_run_that_was_killed_says_with_what_it_was_compared(
    gate: Gate, policy: Path, approved: Path
) -> None:
    left = killed(
        gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", approved),
        gate.folder / "a",
    )
    assert main(["report", str(left)]) == 0
    found = json.loads((left / "report.json").read_text())
    assert (found["outcome"], found["baseline"]["lora"]) == ("INCOMPLETE", "good")
    assert found["baseline"]["path"] == str(approved)
    schema = json.loads((REPORT_MODULE / "schema.json").read_text())
    assert [error.message for error in Draft202012Validator(schema).iter_errors(found)] == []
    for file in ("report.md", "report.html"):
        text = (left / file).read_text()
        assert "the run has not finished, so only what" in text.replace("The run", "the run")
        assert "INCOMPLETE: good.safetensors, " in text
        assert "PASS: good" not in text
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", left)
    assert run.code == 4
    assert "its run has not finished, so it did not pass" in run.err
    first = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", "none")
    none = lora_checks.record.document.read(killed(first, gate.folder / "b"))
    assert none["baseline"]["note"] == "not compared with an earlier release: --lora-baseline none"


def test_a_comparison_that_was_deselected_is_no_pass(gate: Gate, policy: Path, approved: Path) -> None:
    arguments = ("--lora-policy", policy, "--lora-baseline", approved, "-k", "not regression")
    run = gate("--lora", gate.world.good, *arguments)
    assert run.code == 1
    missing = run.report["loras"][0]["missing"]
    assert missing == ["regression-identity", "regression-distribution", "regression-faces"]


def test_every_lora_of_the_run_is_compared(gate: Gate, policy: Path, approved: Path) -> None:
    arguments = ("--lora-policy", policy, "--lora-baseline", approved, "-n", "2")
    run = gate("--lora", gate.world.good, "--lora", gate.world.bad, *arguments)
    assert run.outcomes["good", "regression-identity"] == "PASS", run.out + run.err
    assert run.outcomes["wrong-identity", "regression-identity"] == "FAIL"
    assert {found["lora"] for found in run.report["baseline"]["rows"]} == {"good", "wrong-identity"}


def test_a_report_of_several_needs_a_name(gate: Gate, policy: Path, first_run: Run) -> None:
    both = first_run.report_folder / "report.json"
    run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", both)
    assert run.code == 4
    assert "holds 2 LoRAs; say which as report.json#NAME: good, wrong-identity" in run.err
    named = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", f"{both}#good")
    assert named.code == 0, named.out + named.err


def unnamed(document: dict[str, Any]) -> None:
    del document["loras"][0]["name"]


def without_a_reason(document: dict[str, Any]) -> None:
    del rows_of(document)["identity"]["reason"]


def of_identity(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: rows_of(document)["identity"]["measurement"].update(changes)


def broken(gate: Gate, text: str) -> str:
    path = gate.folder / f"broken{len(list(gate.folder.glob('broken*')))}.json"
    path.write_text(text)
    return path.name


def test_what_is_no_approval_is_refused_before_anything_is_made(
    gate: Gate, policy: Path, first_run: Run, edited: Callable[[Callable[[dict[str, Any]], None]], Path]
) -> None:
    both = first_run.report_folder / "report.json"
    for report, sentence in [
        (
            f"{both}#wrong-identity",
            "wrong-identity ended in FAIL, and only what passed can have been approved",
        ),
        (f"{both}#nobody", "holds no LoRA 'nobody'; it has good, wrong-identity"),
        ("gone.json", "gone.json is not a file"),
        ("", "the argument is empty"),
        (broken(gate, "{"), "is not JSON"),
        (edited(of_run(finished="")), "its run has not finished, so it did not pass"),
        (edited(of_run(other_failures=["test_own.py::test"])), "its run failed in test_own.py::test"),
        (edited(of_run(until_decided=32)), "was made with --lora-until-decided"),
        (edited(unnamed), "/loras/0/name is missing"),
        (edited(without_a_reason), "/reason is missing"),
        (edited(of_run(prompts=[{"text": "a"}])), "/run/prompts/0/id is missing"),
        (edited(of_identity(value=float("nan"))), "NaN"),
        (edited(of_identity(per_image=[["red/1", "much"]])), "/per_image/0/1 must be a number"),
        (broken(gate, '{"schema": 1}'), "is a report of schema 1, and this version reads 2"),
        (broken(gate, "[]"), "name the report.json"),
    ]:
        run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-baseline", report)
        assert run.code == 4, (report, run.out)
        assert sentence in " ".join(run.err.split()), (report, run.err)


def test_a_run_that_makes_as_many_as_it_takes_has_no_pairs(gate: Gate, policy: Path, approved: Path) -> None:
    arguments = ("--lora-policy", policy, "--lora-baseline", approved, "--lora-until-decided", 32)
    run = gate("--lora", gate.world.good, *arguments)
    assert run.code == 4
    assert "--lora-until-decided makes as many as it takes" in run.err


def test_it_needs_a_lora(gate: Gate) -> None:
    run = gate.pytest("--lora-baseline", "report.json")
    assert run.code == 4
    assert "--lora-baseline is for the LoRA gate" in run.err


def pictures(gate: Gate, lora: str) -> Path:
    """What the gate made with a LoRA of the world, as pictures that somebody brings."""
    (shown,) = gate.world.store.glob(f"{lora}-??????")
    target = gate.folder / lora
    target.mkdir()
    for picture in shown.glob("*.png"):
        shutil.copy(picture, target)
    return target


def test_pictures_made_elsewhere_are_compared_with_their_like(
    gate: Gate, policy: Path, approved: Path
) -> None:
    good, bad = pictures(gate, "good"), pictures(gate, "wrong-identity")
    arguments = ("--lora-images", good, "--lora-policy", policy, "--lora-baseline")
    first = gate(*arguments, "none", "--lora-report", "first")
    assert first.code == 0, first.out + first.err
    run = gate("--lora-images", bad, "--lora-policy", policy, "--lora-baseline", "first")
    assert run.code == 1
    failed = [check for (_, check), outcome in run.outcomes.items() if outcome != "PASS"]
    assert failed == ["regression-identity"], run.out + run.err
    section = run.report["baseline"]
    assert (section["lora"], section["lora_sha256"], section["scale"]) == ("good", "", None)
    assert compared(run)["identity"]["pairs"] == 8
    assert (
        "images made elsewhere: that both came from the same base and sampler is not known"
        in section["notes"]
    )
    mixed = gate(*arguments, approved)
    assert mixed.outcomes["good", "regression-identity"] == "ERROR"
    assert "images: made by the gate before, made elsewhere now" in mixed.row("regression-identity")["reason"]


def test_by_bound_the_interval_of_the_change_decides(gate: Gate, approved: Path) -> None:
    allowed = "regression: {likeness: {allowed: 0.0001, rule: bound}}\n"
    policy = gate.world.write(gate.folder / "policy", LENIENT + allowed)
    run = gate("--lora", gate.world.bad, "--lora-policy", policy, "--lora-baseline", approved)
    found = compared(run)["likeness"]
    assert found["sides"] == 1
    outcome = run.outcomes["wrong-identity", "regression-likeness"]
    expected = "PASS" if found["high"] <= 0.0001 else "FAIL" if found["low"] > 0.0001 else "INCONCLUSIVE"
    assert outcome == expected
