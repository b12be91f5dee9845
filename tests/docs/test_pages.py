"""Every command in README and docs/ runs, once, and what a page shows is what it prints."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import doc_pages
import kind_table
import pytest
import votes_world
from doc_pages import DOCS, ROOT, commands, outputs
from world import run_line

from lora_checks.policy.reading import load_policy
from lora_checks.record.votes import ballot, book

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples"
MINIATURE = "examples/miniature"
SUITE = "pytest -n auto --dist loadfile"  # which runs this test
GATES = [command for command in commands("sh") if command.startswith("pytest --lora")]
OTHERS = [command for command in commands("sh") if command not in (*GATES, SUITE)]
RAN = (
    "sh",
    "sh gpu",
    "sh init",
    "sh init refused",
    "sh inspect",
    "sh log",
    "sh release",
    "sh approved",
    "sh light",
    "sh shards",
    "sh votes",
    "sh votes served",
)


def run(command: str, *more: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return run_line(command, *more, folder=folder)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the examples, which a command may write to."""
    (tmp_path / "examples").symlink_to(EXAMPLES)
    return tmp_path


def test_every_fence_of_a_shell_has_a_test() -> None:
    kinds = {fence.kind for fence in doc_pages.fences() if fence.kind.startswith("sh")}
    assert kinds <= set(RAN)
    assert len(GATES) == 6
    assert [command for command in OTHERS if not command.startswith("lora-checks policy ")] == []


def test_every_output_follows_a_command_that_is_compared() -> None:
    compared = {*GATES, *commands("sh init", "sh init refused", "sh inspect", "sh shards")}
    assert {command for command, _ in doc_pages.shown()} <= compared


def test_the_readme_is_short_and_has_the_two_commands() -> None:
    assert len(README.splitlines()) <= 200
    assert f"pytest --lora-policy {MINIATURE} --lora {MINIATURE}/loras/good.safetensors" in GATES
    assert "pip install -e . && pytest --lora-policy" in README
    assert f"pip install -e '.[dev]' && {SUITE}" in README


def test_the_readme_leads_to_every_page() -> None:
    links = {(ROOT / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", README)}
    pages = {*doc_pages.PAGES, *doc_pages.OF_THEIR_OWN} - {ROOT / "README.md", DOCS / "index.md"}
    assert [page.name for page in sorted(pages - links)] == []


@pytest.mark.parametrize("page", doc_pages.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page: Path) -> None:
    """Sphinx checks the links of docs/, but not those of the README."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("command", GATES)
def test_gates_on_the_miniature(command: str, miniature_store: Path) -> None:
    done = run(command, "--lora-store", str(miniature_store))
    stopped = "overfit" in command or command.endswith("loras/run")  # its first checkpoint is near a limit
    assert done.returncode == (1 if stopped else 0), done.stdout + done.stderr
    for text in outputs(command):
        if command.endswith("loras/run"):  # of which the page shows the leaderboard, and no rows
            assert ranked(text) == ranked(done.stdout)
        else:
            assert rows(text) == [row for row in rows(done.stdout) if "..." not in text or row in rows(text)]


def ranked(text: str) -> list[tuple[str, str]]:
    """Each LoRA of a leaderboard with its verdict, in order."""
    places = re.findall(r"^  (step-\d+)\.safetensors +\d+ .* (PASS|FAIL|INCONCLUSIVE|ERROR)  ", text, re.M)
    assert places
    return places


def rows(text: str) -> list[str]:
    """The verdict and name of each row of a table; values may differ in the last digit between machines."""
    return re.findall(r"^  ((?:PASS|FAIL|ERROR) +[a-z-]+) ", text, re.M)


def test_the_example_from_python(miniature_store: Path, clone: Path) -> None:
    (code,) = [fence.text for fence in doc_pages.fences() if "import run_gate\n" in fence.text]
    miniature_store.mkdir(exist_ok=True)  # alone, no test has made it
    (clone / ".lora_checks").symlink_to(miniature_store)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, timeout=900, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["PASS", str(clone / ".lora_checks" / "report" / "report.json")]


def test_the_example_of_a_metric() -> None:
    """In a process of its own, since declaring a metric is for good."""
    (code,) = [fence.text for fence in doc_pages.fences() if "\n@metric(" in fence.text]
    code += (
        "x, y = np.array([[3.0, 0.0], [1.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 5.0]])\n"
        "print(*to_the_average_face(x, y).round(6))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0.707107", "1.0"]  # the mean face is at 45 degrees


def test_commands_on_a_report(miniature_store: Path, clone: Path) -> None:
    """What follows a run: the card, the trackers, the signature, the comparison."""
    (gate,) = (command for command in GATES if "--lora-log" in command)
    done = run(
        gate, "--lora-store", str(miniature_store), "--lora-report", ".lora_checks/report", folder=clone
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tensorboard: tensorboard --logdir" in done.stdout
    for command in [*commands("sh log"), *commands("sh release"), *commands("sh approved")]:
        more = ("--lora-store", str(miniature_store)) if command.startswith("pytest") else ()
        if "overfit" in command:  # where the next command looks for its report
            more += ("--lora-report", ".lora_checks/report")
        done = run(command, *more, folder=clone)
        assert done.returncode == (1 if "overfit" in command else 0), command + done.stdout + done.stderr
    assert (clone / "compared" / "compare.html").is_file()
    assert (clone / "my-lora" / "README.md").is_file()


def test_people_are_asked(tmp_path: Path) -> None:
    """On a report of LoRAs that were judged elsewhere, with the votes of two people."""
    report = votes_world.report(tmp_path)
    (tmp_path / ".lora_checks").mkdir()
    shutil.copytree(report, tmp_path / ".lora_checks" / "report")
    (served,) = commands("sh votes served")
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "lora_checks", *shlex.split(served)[1:], "--port", "0"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert any(line.startswith("http://127.0.0.1:") for line in process.stdout)
    process.terminate()
    process.wait()
    folder = tmp_path / ".lora_checks" / "report" / "votes"
    drawn, rng = ballot.read(folder / ballot.NAME), random.Random(0)
    book.append(votes_world.votes(drawn, "Bo", rng)[0], folder)
    votes = [asdict(vote) for vote in votes_world.votes(drawn, "Ann", rng)]
    saved = {book.EXPORTED: 1, "ballot": drawn.id, "rater": "Ann", "votes": votes}
    (tmp_path / "votes-ann.json").write_text(json.dumps(saved))
    for command in commands("sh votes"):
        done = run(command, folder=tmp_path)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert (tmp_path / "ask.html").is_file()
    assert "2 people answered" in done.stdout


def test_the_first_policy(clone: Path) -> None:
    """init, check and fetch, each on what the one before it wrote."""
    refused = commands("sh init refused")
    for command in commands("sh init", "sh init refused"):
        done = run(command, folder=clone)
        assert done.returncode == (1 if command in refused else 0), command + done.stdout + done.stderr
        printed = done.stdout.splitlines()
        lines = [line for text in outputs(command) for line in text.splitlines()]
        assert [line for line in lines if line not in printed] == []


@pytest.mark.parametrize("command", OTHERS)
def test_commands_without_a_run(command: str, clone: Path) -> None:
    done = run(command, folder=clone)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """What ``--help`` says, by command."""
    return {}


@pytest.mark.parametrize("command", commands("sh gpu"))
def test_commands_for_a_gpu_name_real_options(command: str, helps: dict[str, str]) -> None:
    program, *rest = command.split()
    verbs = rest[: 2 if rest[0] == "store" else 1]
    asked = f"{program} {' '.join(verbs)} --help" if program == "lora-checks" else "pytest --help"
    if asked not in helps:
        helps[asked] = run(asked).stdout + " --junitxml"  # pytest's own, which its help spells --junit-xml
    options = re.findall(r"--[a-z-]+", command)
    assert options or program == "lora-checks"
    assert [option for option in options if option not in helps[asked]] == []


@pytest.mark.parametrize("command", commands("sh inspect"))
def test_what_inspect_prints_is_what_the_page_shows(command: str) -> None:
    assert outputs(command) == [run(command).stdout]


KEYS = [fence for fence in doc_pages.fences() if re.match("(ranking|regression|base):", fence.text)]
REST = """
trigger: sks person
class_words: person
seeds: [1]
prompts: [{id: red, text: a sks person in red}]
"""


@pytest.mark.parametrize("fence", KEYS, ids=lambda fence: f"{fence.page.name}-{fence.text.split(':')[0]}")
def test_examples_of_keys_are_read(fence: doc_pages.Fence, tmp_path: Path) -> None:
    for name in ("references", "train", "pipeline", "evaluators", "prompts.yaml"):
        (tmp_path / name).symlink_to(ROOT / MINIATURE / name)
    thresholds = (ROOT / MINIATURE / "thresholds.yaml").read_text()
    if fence.text.startswith("base:"):
        (tmp_path / "prompts.yaml").unlink()
        sampler = "" if "\nsampler:" in fence.text else "sampler: {steps: 2, width: 64, height: 64}\n"
        (tmp_path / "prompts.yaml").write_text(fence.text + sampler + REST)
    else:
        key = fence.text.split(":")[0]
        parts = re.split(r"^(?=\w+:)", thresholds, flags=re.M)
        thresholds = "".join(part for part in parts if not part.startswith(f"{key}:")) + fence.text
    (tmp_path / "thresholds.yaml").write_text(thresholds)
    assert len(load_policy(tmp_path).thresholds) == 11


def test_the_table_of_kinds_and_families() -> None:
    """Which `test_kinds_by_family.py` measures."""
    assert kind_table.markdown() in (DOCS / "reference" / "lora-files.md").read_text()


def test_the_page_of_spellings_has_their_table() -> None:
    """Which `test_spellings.py` measures."""
    assert kind_table.spelling_markdown() in (DOCS / "spellings.md").read_text()


def test_every_metric_is_listed() -> None:
    from lora_checks.metrics import BUILTIN

    page = (DOCS / "reference" / "metrics.md").read_text()
    assert [name for name in BUILTIN if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", doc_pages.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_placeholder_is_left(page: Path) -> None:
    assert "@@" not in page.read_text()
