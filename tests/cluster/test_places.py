"""Where a cluster's workers run, and what they get of the run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from cluster_world import lora

from lora_checks.core.errors import LoraChecksError
from lora_checks.diffusion.cluster import setup as node_setup
from lora_checks.diffusion.cluster.setup import Node
from lora_checks.diffusion.cluster.studio import files_of
from lora_checks.diffusion.cluster.worker import placed

HERE = Node("here", 1, "cpu", "abc", ("torch 2.14.1", "diffusers 0.42.1"), None)


def test_a_node_that_has_the_file_reads_its_own() -> None:
    one = lora()
    assert placed(one, {one.path: b"never read"}) is one


def test_a_node_without_the_file_gets_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    there = lora()
    away = replace(there, path=tmp_path / "of-another-machine" / there.path.name)
    asked: list[Path] = []

    def fetch(path: Path) -> bytes:
        asked.append(path)
        return path.read_bytes()

    for _ in range(2):
        found = placed(away, dict.fromkeys(files_of(away), there.path), fetch)
        assert found.sha256 == there.sha256
        assert found.path.read_bytes() == there.path.read_bytes()
        assert found.path.parent.stat().st_mode & 0o077 == 0  # nobody else can put another file there
    shutil.rmtree(found.path.parent)


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (replace(HERE, name="b", hardware="A100"), "node b has the hardware A100 and this process cpu"),
        (replace(HERE, name="b", code="def"), "code of lora_checks with the digest def"),
        (
            replace(HERE, name="b", versions=("torch 2.9.0", "diffusers 0.42.1")),
            "has the packages torch 2.9.0 and this process torch 2.14.1",
        ),
        (replace(HERE, name="b", sees_store=False), "node b does not see the store of this run"),
        (replace(HERE, name="b", trouble="OSError: no disk"), "node b: OSError: no disk"),
    ],
)
def test_a_node_whose_results_could_differ_is_refused_by_name(node: Node, says: str) -> None:
    trouble = node_setup.refusal(HERE, node)
    assert isinstance(trouble, LoraChecksError)
    assert says in str(trouble)


def test_a_node_that_is_like_this_one_works() -> None:
    assert node_setup.refusal(HERE, replace(HERE, name="b", process=2)) is None


def test_nothing_of_ray_is_imported_without_the_option() -> None:
    code = (
        "import sys, lora_checks.gate.opening, lora_checks.diffusion.cluster; "
        "print([name for name in sys.modules if name.partition('.')[0] == 'ray'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_package_is_named_with_its_extra() -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from lora_checks.diffusion.cluster.ray_client import Ray\n"
        "try: Ray('auto')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "PrerequisiteError --lora-cluster needs the package ray" in done.stdout
    assert "pip install 'lora-checks[ray]'" in done.stdout


@pytest.mark.skipif(find_spec("ray") is None, reason="needs the package ray: pip install 'lora-checks[ray]'")
def test_a_cluster_of_this_machine_alone_listens_here_alone_and_leaves_nothing() -> None:
    code = (
        "import os\n"
        "from lora_checks.diffusion.cluster.ray_client import OURS, Ray\n"
        "before = dict(os.environ)\n"
        "ray = Ray('local')\n"
        "print(*{node['NodeManagerAddress'] for node in ray._ray.nodes()}, os.environ['RAY_AUTH_MODE'])\n"
        "ray.close()\n"
        "print({name: os.environ.get(name) for name in OURS} == {name: before.get(name) for name in OURS})"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=clean
    )
    assert done.stdout.split("\n")[:2] == ["127.0.0.1 token", "True"], done.stdout + done.stderr
