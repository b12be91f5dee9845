"""The workflows: valid, pinned, and each shell step of the release gate run as it is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import workflow
import yaml
from world import WITHOUT, Run, World, environment, run_module

from lora_checks.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GATE = workflow.load(ROOT / ".github" / "workflows" / "release-gate.yml")
GITLAB = ROOT / "examples" / "gitlab-ci.yml"


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in workflow.load(path)["jobs"].values() for step in job["steps"]]


def check(schema: str, *paths: Path) -> None:
    done = run_module("check_jsonschema", "--builtin-schema", schema, *paths, folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflows_follow_githubs_schema() -> None:
    check("vendor.github-workflows", *WORKFLOWS)


def test_the_example_for_gitlab_follows_gitlabs_schema() -> None:
    check("vendor.gitlab-ci", GITLAB)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_with_its_version(path: Path) -> None:
    lines = [line.strip(" -") for line in path.read_text().splitlines() if "uses:" in line]
    assert lines
    assert [
        x for x in lines if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", x)
    ] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_script_is_put_together_by_expressions(path: Path) -> None:
    """What a caller, a branch or a file is called reaches a script through the environment only."""
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_may_read_the_code_and_nothing_else(path: Path) -> None:
    found = workflow.load(path)
    assert found["permissions"] == {"contents": "read"}
    more = {name: job["permissions"] for name, job in found["jobs"].items() if "permissions" in job}
    assert more == ({"publish": {"id-token": "write"}} if path.name == "publish.yml" else {})
    checkouts = [step for step in steps(path) if "actions/checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_ci_runs_on_every_python_that_the_package_names() -> None:
    found = workflow.load(ROOT / ".github" / "workflows" / "ci.yml")
    assert found["jobs"]["check"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert "bash .ci/run" in [step.get("run") for step in found["jobs"]["check"]["steps"]]


@pytest.mark.parametrize(
    ("event", "head", "reaches"),
    [
        ("push", None, True),
        ("workflow_dispatch", None, True),
        ("pull_request", "team/loras", True),
        ("pull_request", "mallory/loras", False),
        ("pull_request", None, False),  # the fork was deleted
        ("pull_request_target", "team/loras", False),
    ],
)
def test_a_forks_pull_request_never_reaches_the_runner(event: str, head: str | None, reaches: bool) -> None:
    repo = {"full_name": head} if head else None
    github = {
        "event_name": event,
        "repository": "team/loras",
        "event": {"pull_request": {"head": {"repo": repo}}},
    }
    assert workflow.condition(GATE["jobs"]["gate"]["if"], {"github": github}, True) is reaches


# -- the jobs, run


@dataclass
class Release:
    """The three jobs in turn, each in a checkout of its own, with an artifact store between them."""

    folder: Path
    world: World
    python: str  # what the jobs call
    artifacts: dict[str, Path] = field(default_factory=dict)

    def __call__(
        self, lora: Path, *, replace: Mapping[str, str] | None = None, event: str = "push", **inputs: Any
    ) -> dict[str, workflow.Job]:
        declared = GATE["on"]["workflow_call"]["inputs"]
        given = {name: entry.get("default", "") for name, entry in declared.items()}
        given |= {"lora": lora.name, "policy": "policy", "package": "", "python": self.python}
        given |= {"cache": str(self.world.store.parent), "attest": ""}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        github = {"event_name": event, "repository": "team/loras", "run_id": "7", "run_attempt": "1"}
        secrets = {"SIGNING_KEY": self.key.read_text()} if given["attest"] else {}
        context = {"inputs": given, "github": github, "secrets": secrets, "needs": {}}
        jobs: dict[str, workflow.Job] = {}
        for name in ("gate", "verify", "attest"):
            place = self.checkout(name, lora if not given["artifact"] else None)
            env = environment({"PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": " ".join(WITHOUT)})
            own = replace if name == "gate" else None
            jobs[name] = workflow.run_job(GATE, name, context, place, self.action, env, own)
            context["needs"][name] = {"result": jobs[name].result, "outputs": jobs[name].outputs}
        return jobs

    @property
    def key(self) -> Path:
        path = self.folder / "team.pem"
        if not path.exists():
            command = [sys.executable, "-m", "lora_checks", "attest", "--new-key", str(path)]
            subprocess.run(command, check=True, capture_output=True)
        return path

    def checkout(self, name: str, lora: Path | None) -> Path:
        place = self.folder / name
        place.mkdir()
        shutil.copytree(self.world.policy, place / "policy")
        if lora is not None:
            shutil.copy(lora, place)
        return place

    def action(self, name: str, given: Mapping[str, str], workspace: Path) -> bool:
        """The actions' documented effect: files in, files out."""
        if name == "actions/download-artifact":
            kept = self.artifacts.get(given["name"])
            if kept is not None:
                shutil.copytree(kept, workspace / given.get("path", "."), dirs_exist_ok=True)
            return kept is not None
        if name == "actions/upload-artifact":
            kept = self.folder / "artifacts" / given["name"]
            found = [workspace / path for path in given["path"].split() if (workspace / path).exists()]
            for path in found:
                kept.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if path.is_dir() else shutil.copy)(path, kept / path.name)
            if found:
                self.artifacts[given["name"]] = kept
            return bool(found) or given["if-no-files-found"] != "error"
        assert name == "actions/checkout"
        return True


@pytest.fixture
def release(tmp_path: Path, world: World, first_run: Run, python: str) -> Release:
    """On the store of the first run, as the runner's cache keeps it for an unprotected branch."""
    assert first_run.code == 1, first_run.out + first_run.err
    link = world.store.parent / "store-open"
    if not link.exists():
        link.symlink_to(world.store)
    return Release(tmp_path, world, python)


def results(jobs: Mapping[str, workflow.Job]) -> dict[str, str]:
    return {name: job.result for name, job in jobs.items()}


def test_a_good_lora_is_released_and_its_verdict_signed(release: Release) -> None:
    release.python = sys.executable
    jobs = release(release.world.good, attest="true")
    assert results(jobs) == {"gate": "success", "verify": "success", "attest": "success"}, [
        job.log for job in jobs.values()
    ]
    assert jobs["gate"].summary.startswith("# PASS: good.safetensors")
    assert jobs["verify"].summary.startswith("RELEASED: good.safetensors 0518e9745ec5, 6 rows")
    scripts = [step["name"] for job in GATE["jobs"].values() for step in job["steps"] if "run" in step]
    ran = [name for job in jobs.values() for name, outcome in job.steps.items() if outcome == "success"]
    assert set(scripts) <= set(ran)  # every script of the workflow
    assert sorted(path.name for path in release.artifacts["lora-gate-7-1"].iterdir()) == [
        "gate-report",
        "gate.xml",
    ]
    signed = release.artifacts["lora-attestation-7-1"] / "lora.intoto.json"
    command = ["verify", release.world.good, "--policy", release.world.policy, "--attestation", signed]
    command += ["--key", f"{release.key}.pub"]
    done = subprocess.run([sys.executable, "-m", "lora_checks", *map(str, command)], check=False)
    assert done.returncode == 0


def test_a_bad_lora_is_blocked_and_its_report_kept(release: Release) -> None:
    jobs = release(release.world.bad, attest="true")
    assert results(jobs) == {"gate": "failure", "verify": "failure", "attest": "skipped"}
    assert jobs["gate"].summary.startswith("# FAIL: wrong-identity.safetensors")
    assert "the result is FAILED, not PASSED: identity did not pass" in jobs["verify"].summary
    assert "lora-gate-7-1" in release.artifacts


def test_a_lora_from_an_artifact_cannot_bring_its_own_policy_or_report(release: Release) -> None:
    kept = release.folder / "trained"
    kept.mkdir()
    shutil.copy(release.world.bad, kept / "person.safetensors")
    lenient = (release.world.policy / "thresholds.yaml").read_text().replace("min: 0.45", "min: -1.0")
    for place in ("policy", "gate-report", "gate-artifact/gate-report"):
        (kept / place).mkdir(parents=True)
    (kept / "policy" / "thresholds.yaml").write_text(lenient)
    release.artifacts["trained"] = kept
    jobs = release(Path("person.safetensors"), artifact="trained")
    assert results(jobs)["gate"] == results(jobs)["verify"] == "failure"
    assert "identity did not pass" in jobs["verify"].summary


@pytest.mark.parametrize(
    ("script", "gate", "sentence"),
    [
        ("exit 0", "success", "has no report.json: no run has written a verdict there"),
        ("kill -9 $$", "failure", "has no report.json"),
        (
            'PYTHONPATH="$PWD:$PYTHONPATH" "$PYTHON" -m pytest -p dying --lora-policy "$POLICY" '
            '--lora "$LORA" --lora-store "$STORE" --lora-report gate-report',
            "success",
            "has no report.json: the run ended before its verdict",
        ),
        (
            '"$PYTHON" -m pytest --lora-policy "$POLICY" --lora "$LORA" --lora-store "$STORE" '
            "--lora-report gate-report "
            "-k identity || true",
            "success",
            "the result is FAILED, not PASSED",
        ),
    ],
    ids=["exit 0", "killed", "os._exit(0)", "a selection, and its status ignored"],
)
def test_a_gate_without_a_verdict_is_blocked_by_the_second_job(
    script: str, gate: str, sentence: str, release: Release
) -> None:
    dying = "import os\ndef pytest_runtest_logfinish(nodeid):\n    if 'distribution' in nodeid: os._exit(0)\n"
    before = f"cat > dying.py <<'END'\n{dying}END\n"
    jobs = release(release.world.good, replace={"Gate": before + script})
    assert (jobs["gate"].steps["Gate"], jobs["verify"].result) == (gate, "failure"), jobs["gate"].log
    assert sentence in jobs["verify"].summary


def test_a_report_that_passed_does_not_make_up_for_a_gate_that_failed(release: Release) -> None:
    """Such as a machine that was lost after the report was uploaded."""
    script = (
        '"$PYTHON" -m pytest --lora-policy "$POLICY" --lora "$LORA" --lora-store "$STORE" '
        "--lora-report gate-report; exit 1"
    )
    jobs = release(release.world.good, replace={"Gate": script})
    assert jobs["verify"].steps["Verify"] == "success"
    assert jobs["verify"].steps["The gate itself ended well"] == "failure"
    assert jobs["verify"].result == "failure"


def test_a_forks_pull_request_is_neither_gated_nor_released(release: Release) -> None:
    jobs = release(release.world.good, event="pull_request")
    assert results(jobs)["gate"] == "skipped"
    assert results(jobs)["verify"] == "failure"
    assert jobs["verify"].summary == "NOT RELEASED: good.safetensors was not gated\n"
    first, *others = jobs["verify"].steps.values()
    assert (first, set(others)) == ("failure", {"skipped"})  # nothing of the fork came onto the machine


def test_options_may_stand_in_several_lines_and_verify_is_told_of_strengths(release: Release) -> None:
    args = "--lora-scale 0.9,1\n--junitxml own.xml\n"
    (release.folder / "first").mkdir()
    again = Release(release.folder / "first", release.world, release.python)
    jobs = again(release.world.good, args=args, verify_args="--lora-scale\n0.9,1")
    assert (again.folder / "gate" / "own.xml").exists()
    assert results(jobs) == {"gate": "success", "verify": "success", "attest": "skipped"}, jobs["gate"].log
    jobs = release(release.world.good, args="--lora-scale 0.9")
    assert "it was judged at strength 0.9, not at 1" in jobs["verify"].summary


def test_an_attempt_that_verifies_again_takes_the_report_of_the_one_that_gated(release: Release) -> None:
    report = workflow.fill(
        GATE["jobs"]["gate"]["outputs"]["report"],
        {"inputs": {"name": "lora"}, "github": {"run_id": "7", "run_attempt": "1"}},
    )
    kept = release.folder / "artifacts" / report
    kept.mkdir(parents=True)
    (kept / "gate-report").mkdir()
    release.artifacts[report] = kept
    place = release.checkout("again", release.world.good)
    context: dict[str, Any] = {
        "inputs": {
            name: entry.get("default", "") for name, entry in GATE["on"]["workflow_call"]["inputs"].items()
        },
        "github": {"event_name": "push", "repository": "team/loras", "run_id": "7", "run_attempt": "2"},
        "needs": {"gate": {"result": "success", "outputs": {"report": report}}},
    }
    context["inputs"] |= {
        "package": "",
        "python": release.python,
        "policy": "policy",
        "lora": "good.safetensors",
    }
    env = environment({"PYTHONPATH": str(ROOT)})
    workflow.run_job(GATE, "verify", context, place, release.action, env)
    assert (place / "gate-artifact" / "gate-report").is_dir()
    context["needs"]["gate"]["outputs"] = {}  # of a machine that was lost
    other = release.checkout("lost", release.world.good)
    job = workflow.run_job(GATE, "verify", context, other, release.action, env)
    assert "gate-artifact/gate-report has no report.json" in job.summary


def test_two_calls_of_a_run_have_their_own_artifacts() -> None:
    names = [
        str(step["with"]["name"])
        for job in GATE["jobs"].values()
        for step in job["steps"]
        if "upload-artifact" in step.get("uses", "")
    ]
    assert len(names) == 2
    assert all(name.startswith("${{ inputs.name }}-") for name in names)


def test_the_key_can_be_an_environments() -> None:
    """GitHub finds an environment's secret by its own name, in a job that names the environment."""
    assert GATE["jobs"]["attest"]["environment"] == "${{ inputs.environment }}"
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in GATE["on"]["workflow_call"]["secrets"])


def test_options_of_the_caller_are_words_and_no_shell(release: Release) -> None:
    marker = release.folder / "gate" / "owned"
    jobs = release(release.world.good, args=f"-k identity $(touch {marker.name}) ; touch {marker.name}")
    assert not marker.exists()
    assert jobs["verify"].result == "failure"


@pytest.mark.parametrize(("tag", "passes"), [("v{}", True), ("v9.9.9", False), ("{}", False)])
def test_only_a_tag_of_the_packages_version_is_published(tag: str, passes: bool, tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    jobs = steps(ROOT / ".github" / "workflows" / "publish.yml")
    (step,) = [step for step in jobs if step.get("name", "").startswith("The tag")]
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", step["run"]],
        cwd=tmp_path,
        env=environment({"TAG": tag.format(version)}),
        check=False,
        capture_output=True,
    )
    assert (done.returncode == 0) is passes


def test_the_citation_follows_its_schema() -> None:
    check("vendor.citation-file-format", ROOT / "CITATION.cff")


HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_the_hooks_for_pre_commit_name_commands_and_files(hook: dict[str, Any]) -> None:
    command, name = hook["entry"].split()
    assert command == "lora-checks"
    assert name in COMMANDS
    assert re.search(hook["files"], "gate/thresholds.yaml")
    assert not re.search(hook["files"], "README.md")
