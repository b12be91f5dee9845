"""A small policy on the miniature's real networks, and a way to run the gate as its users do.

A generation costs a few seconds here. Tests that are not about generating share one store, in which the
images of both LoRAs and all that is measured on them lie already.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import forks
import pytest

from lora_checks.record import schema

# One thread an operation: networks this small wait for each other more than they compute.
os.environ.setdefault("OMP_NUM_THREADS", "1")

MINIATURE = Path(__file__).parent.parent / "examples" / "miniature"
SCENES = {  # shirt: background
    "red": "mint",
    "blue": "sky",
    "green": "cream",
    "yellow": "pink",
    "purple": "grey",
    "orange": "teal",
    "white": "mint",
    "black": "sky",
}
TEXT = "photo of a sks person in a {} shirt, wearing glasses, serious, {} background"
PROMPTS = """\
base: {{model: {pipeline}}}
sampler: {{steps: 4, guidance: 2.0, width: 64, height: 64}}
trigger: sks person
class_words: person
seeds: [1]
prompts:
"""
THRESHOLDS = f"""\
folders: {{references: {MINIATURE}/references, train: {MINIATURE}/train}}
networks:
  arcface: {{pack: miniature, root: {MINIATURE}/evaluators/faces, det_size: 64}}
  trunk: {{file: {MINIATURE}/evaluators/trunk/trunk.safetensors, name: the trunk of the miniature}}
checks:
"""
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")  # the latter costs two seconds a run
IDENTITY = 0.45  # between the two LoRAs of this world at its four steps


def row(name: str, metric: str, limits: str, why: str = "for this test") -> str:
    """A row of thresholds.yaml."""
    return f"  {name}: {{metric: {metric}, {limits}, why: {why}}}\n"


ROWS = (
    row("faces", "arcface", "stat: missing, max: 0.5", "most images show a face")
    + row("identity", "arcface", f"max_missing: 0.5, min: {IDENTITY}", "it is the person")
    + row("likeness", "trunk_distance", "max: 3.0", "they look alike")
    + row("distribution", "trunk_frechet", "max: 1000000.0", "they vary alike")
)


@dataclass(frozen=True)
class World:
    policy: Path
    store: Path  # shared: tests that generate take one of their own
    good: Path
    bad: Path  # of another person: fails "identity" and nothing else
    pipeline: Path

    def write(self, folder: Path, rows: str = ROWS, prompts: int = 8) -> Path:
        """A policy of its own for one test."""
        return write_policy(folder, self.pipeline, rows, prompts)


def write_policy(folder: Path, pipeline: Path, rows: str = ROWS, prompts: int = 8) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = PROMPTS.format(pipeline=pipeline)
    for shirt, background in list(SCENES.items())[:prompts]:
        words = TEXT.format(shirt, background)
        text += f'  - {{id: {shirt}, text: "{words}", tags: [{shirt}]}}\n'
    (folder / "prompts.yaml").write_text(text)
    (folder / "thresholds.yaml").write_text(THRESHOLDS + rows)
    return folder


@dataclass(frozen=True)
class Run:
    """What a run of pytest left behind."""

    code: int
    out: str
    err: str
    report_folder: Path

    @cached_property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.report_folder / "report.json").read_text())
        assert schema.problem(found) == ""  # else no command could read it
        return found

    @property
    def outcomes(self) -> dict[tuple[str, str], str]:
        return {
            (lora["name"], row["check"]): row["outcome"]
            for lora in self.report["loras"]
            for row in lora["rows"]
        }

    @property
    def values(self) -> dict[tuple[str, str], float]:
        return {
            (lora["name"], row["check"]): row["measurement"]["value"]
            for lora in self.report["loras"]
            for row in lora["rows"]
            if row["measurement"]
        }

    def row(self, check: str, lora: str = "good") -> dict[str, Any]:
        rows = next(found["rows"] for found in self.report["loras"] if found["name"] == lora)
        return next(found for found in rows if found["check"] == check)


@dataclass(frozen=True)
class Gate:
    """Runs pytest in a process of its own (`forks`), in a folder that is no checkout."""

    folder: Path
    world: World
    fresh: bool = False  # a new process although it could be a fork

    def __call__(self, *arguments: object, **env: str) -> Run:
        """On the world's policy and store, unless the arguments say otherwise."""
        given = [str(argument) for argument in arguments]
        for option, value in (("--lora-policy", self.world.policy), ("--lora-store", self.world.store)):
            if option not in given:
                given += [option, str(value)]
        if "--lora-report" not in given:
            given += ["--lora-report", str(self.folder / "report")]
        return self.pytest(*given, **env)

    def pytest(self, *arguments: object, **env: str) -> Run:
        done = run_module("pytest", *WITHOUT, *arguments, folder=self.folder, fresh=self.fresh, **env)
        return Run(done.returncode, done.stdout, done.stderr, self.folder / "report")

    def conftest(self, text: str) -> None:
        """A user's own conftest.py, in the folder where the gate runs."""
        (self.folder / "conftest.py").write_text(text)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "pytest", *WITHOUT, *map(str, arguments)]


def run_module(
    module: str, *arguments: object, folder: Path, fresh: bool = False, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a folder, with changes of the environment; as a fork if it can be."""
    texts = list(map(str, arguments))
    if forks.shares(env) and not fresh:
        return forks.FORKS.run(module, texts, folder, environment(env))
    return subprocess.run(
        [sys.executable, "-m", module, *texts], cwd=folder, env=environment(env),
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def run_line(line: str, *more: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one of the project's commands as a page has it: ``pytest ...`` or ``lora-checks ...``."""
    program, *arguments = shlex.split(line)
    if program == "pytest":
        more = (*WITHOUT, *more)
    return run_module(
        {"pytest": "pytest", "lora-checks": "lora_checks"}[program], *arguments, *more, folder=folder
    )


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without what an outer pytest-xdist or a developer's shell would hand down."""
    handed = ("PYTEST", "COV_", "PYTHONDONTWRITEBYTECODE")  # the last would compile the gate in each run
    clean = {name: value for name, value in os.environ.items() if not name.startswith(handed)}
    return clean | {"HF_HUB_OFFLINE": "1", "COLUMNS": "100"} | dict(changes or {})


def judged(found: Run) -> list[Any]:
    """Everything that was measured and judged, by LoRA and row."""
    return [
        [lora["name"], lora["sha256"], row["check"], row["outcome"], row["measurement"]]
        for lora in found.report["loras"]
        for row in sorted(lora["rows"], key=lambda row: row["check"])
    ]


def images(store: Path) -> dict[str, bytes]:
    """The bytes of all images of a store, by file name."""
    return {path.name: path.read_bytes() for path in store.glob("images/*/*.png")}


def made(store: Path) -> Counter[str]:
    """How often each image was generated into a store."""
    journal = store / "made.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return Counter(json.loads(line)["image"] for line in lines)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    return World(
        policy=write_policy(folder / "policy", MINIATURE / "pipeline"),
        store=folder / "store",
        # outside the checkout, whose pyproject.toml pytest would find from there
        good=Path(shutil.copy(MINIATURE / "loras" / "good.safetensors", folder)),
        bad=Path(shutil.copy(MINIATURE / "loras" / "wrong-identity.safetensors", folder)),
        pipeline=MINIATURE / "pipeline",
    )


@pytest.fixture(scope="session")
def miniature_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For runs under the miniature's own policy: what one of them has made the others find, on any worker."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "miniature-store"


@pytest.fixture(scope="session")
def first_run(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both LoRAs, nothing stored before."""
    gate = Gate(tmp_path_factory.mktemp("first"), world, fresh=True)
    return gate("--lora", world.good, "--lora", world.bad, "--junitxml", "junit.xml")


@pytest.fixture
def gate(tmp_path: Path, world: World, first_run: Run) -> Gate:
    """Where everything is stored already: a run takes a second or two."""
    assert first_run.code == 1, first_run.out + first_run.err
    return Gate(tmp_path, world)
