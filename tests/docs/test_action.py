"""The action: its shell steps run as they are written, and its comment on a pull request."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import workflow
from PIL import Image
from world import WITHOUT, Run, World, environment, run_module

from lora_checks.__main__ import main

ROOT = Path(__file__).parents[2]
ACTION = workflow.load(ROOT / "action.yml")
URL = "https://github.example/artifacts/1"
PICTURES = "https://github.example/artifacts/2"


class GitHub(http.server.BaseHTTPRequestHandler):
    """Answers as GitHub's REST API does about the comments of one pull request."""

    comments: list[dict[str, Any]]
    refuses = False

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _content(self) -> dict[str, str]:
        length = int(self.headers["Content-Length"])
        content: dict[str, str] = json.loads(self.rfile.read(length))
        return content

    def do_GET(self) -> None:
        assert self.headers["Authorization"] == "Bearer secret"
        if self.refuses:
            self._answer(403, {"message": "Resource not accessible by integration"})
            return
        page = int(re.findall(r"[?&]page=([0-9]+)", self.path)[0])
        self._answer(200, self.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        assert self.path == "/repos/team/loras/issues/7/comments"
        comment = {"id": len(self.comments) + 1, "html_url": f"{URL}#{len(self.comments) + 1}"}
        self.comments.append(comment | self._content())
        self._answer(201, comment)

    def do_PATCH(self) -> None:
        number = int(self.path.rpartition("/")[2])
        self.comments[number - 1] |= self._content()
        self._answer(200, self.comments[number - 1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def github() -> Iterator[http.server.ThreadingHTTPServer]:
    GitHub.comments, GitHub.refuses = [], False
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), GitHub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def address(server: http.server.ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def act(
    folder: Path, world: World, lora: Path, python: str, **given: str
) -> tuple[workflow.Job, Mapping[str, str]]:
    """Run the action in a checkout of its own, on the first run's store; return the upload's settings."""
    place = folder / lora.stem
    shutil.copytree(world.policy, place / "policy")
    shutil.copy(lora, place)
    uploads: list[Mapping[str, str]] = []

    def uses(name: str, settings: Mapping[str, str], _: Path) -> dict[str, str]:
        assert name == "actions/upload-artifact"
        if settings.get("archive") == "false":
            assert "name" not in settings  # which is then the file's
            shutil.copy(settings["path"], place / "pictures.png")
            return {"artifact-url": PICTURES}
        uploads.append(settings)
        return {"artifact-url": URL}

    inputs = {"lora": lora.name, "policy": "policy", "package": "", "python": python}
    inputs |= {"store": str(world.store)} | given
    context = {
        "inputs": inputs,
        "github": {
            "run_id": "7",
            "run_attempt": "1",
            "token": "secret",
            "event": {"pull_request": {"number": 7}},
        },
    }
    env = environment({"PYTHONPATH": str(ROOT), "GITHUB_REPOSITORY": "team/loras"})
    env["PYTEST_ADDOPTS"] = " ".join(WITHOUT)
    if "api" in given:
        env["GITHUB_API_URL"] = given["api"]
    return workflow.run_action(ACTION, context, place, uses, env), uploads[0] if uploads else {}


@pytest.mark.usefixtures("first_run")
def test_a_lora_that_passes(tmp_path: Path, world: World, github: http.server.ThreadingHTTPServer) -> None:
    job, upload = act(tmp_path, world, world.good, sys.executable, comment="true", api=address(github))
    assert job.result == "success", job.log
    assert job.outputs["verdict"] == "PASS"
    assert job.outputs["artifact"] == URL
    assert (Path(upload["path"]) / "report.html").is_file()
    assert (Path(upload["path"]) / "junit.xml").is_file()
    assert job.summary.startswith("# PASS: good.safetensors")
    assert PICTURES in job.summary.splitlines()[-3]
    assert URL in job.summary.splitlines()[-1]
    assert str(tmp_path) not in job.summary  # nor any folder of the runner
    with Image.open(tmp_path / "good" / "pictures.png") as sheet:
        assert sheet.size == (3 * 256, 2 * (256 + 36))  # six thumbnails with their captions
    (comment,) = GitHub.comments
    assert comment["body"].startswith("<!-- lora_checks lora -->\n# PASS: good.safetensors")
    assert URL in comment["body"]
    assert PICTURES in comment["body"]
    assert set(job.steps.values()) == {"success"}  # every script of the action


@pytest.mark.usefixtures("first_run")
def test_a_lora_that_is_stopped_replaces_the_comment(
    tmp_path: Path, world: World, python: str, github: http.server.ThreadingHTTPServer
) -> None:
    others = [{"id": i + 1, "html_url": "", "body": f"{i}"} for i in range(100)]
    GitHub.comments = [
        *others,
        {"id": 101, "html_url": URL, "body": "<!-- lora_checks lora -->\n# PASS: old"},
    ]
    job, _ = act(tmp_path, world, world.bad, python, comment="true", api=address(github))
    assert (job.result, job.outputs["verdict"]) == ("failure", "FAIL")
    assert job.steps["Comment"] == "success", job.log
    assert len(GitHub.comments) == 101
    assert "# FAIL: wrong-identity.safetensors" in GitHub.comments[100]["body"]


@pytest.mark.usefixtures("first_run")
def test_without_a_comment_and_without_a_verdict(tmp_path: Path, world: World, python: str) -> None:
    (tmp_path / "absent").mkdir()
    job, upload = act(tmp_path, world, world.good, python, policy="nowhere")
    assert (job.result, job.outputs["verdict"]) == ("failure", "")
    assert job.steps["Pictures"] == job.steps["Upload pictures"] == job.steps["Comment"] == "skipped"
    assert upload["name"] == "lora-report-7-1"
    assert "nowhere" in job.log


def test_a_token_without_the_permission_is_named(
    first_run: Run, github: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    GitHub.refuses = True
    command = ["comment", str(first_run.report_folder), "--repository", "team/loras", "--pull-request", "7"]
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    assert main(command) == 2
    assert "GITHUB_TOKEN is not set" in capsys.readouterr().err
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_API_URL", address(github))
    assert main(command) == 2
    message = capsys.readouterr().err
    assert "403" in message
    assert "pull-requests: write" in message
    assert "secret" not in message
    assert main([*command[:3], "no-slash", *command[4:]]) == 2
    monkeypatch.setenv("GITHUB_API_URL", "http://127.0.0.1:1")
    assert main(command) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_the_workflow_of_the_docs_passes_only_what_the_action_takes(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "github-actions.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page, re.M | re.S)
    path = tmp_path / "workflow.yml"
    path.write_text(text)
    job = workflow.load(path)["jobs"]["gate"]
    passed = job["steps"][-1]["with"]
    required = {name for name, entry in ACTION["inputs"].items() if entry.get("required") == "true"}
    assert required <= set(passed) <= set(ACTION["inputs"])
    for fork, runs in (("team/loras", True), ("mallory/loras", False)):
        event = {"pull_request": {"head": {"repo": {"full_name": fork}}}}
        github = {"event_name": "pull_request", "repository": "team/loras", "event": event}
        assert workflow.condition(job["if"], {"github": github}, True) is runs
    done = run_module("check_jsonschema", "--builtin-schema", "vendor.github-workflows", path, folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_action_follows_githubs_schema_and_pins_what_it_uses() -> None:
    schema = ("--builtin-schema", "vendor.github-actions")
    done = run_module("check_jsonschema", *schema, ROOT / "action.yml", folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = ACTION["runs"]["steps"]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)
