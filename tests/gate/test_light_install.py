"""A machine that only verifies, reports or inspects needs no torch, and says what it lacks for more."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from world import MINIATURE, Run

ROOT = Path(__file__).parents[2]
GOOD = MINIATURE / "loras" / "good.safetensors"


def shell(command: str, folder: Path, bin_folder: Path) -> subprocess.CompletedProcess[str]:
    env = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
    )


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment, made by the command of the docs."""
    folder = tmp_path_factory.mktemp("light")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    page = (ROOT / "docs" / "how-to" / "github-actions.md").read_text()
    (command,) = re.findall(r"^pip install --no-deps lora-checks && (.+)$", page, re.M)
    bin_folder = folder / "venv" / "bin"
    done = shell(f"pip install --quiet --no-deps '{ROOT}' && {command}", folder, bin_folder)
    if "No matching distribution" in done.stderr or "NewConnectionError" in done.stderr:
        pytest.skip("pip reaches no package index here")
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    return bin_folder


def test_it_has_no_torch_and_is_small(light: Path, tmp_path: Path) -> None:
    packages = shell("pip list --format=freeze", tmp_path, light).stdout.lower()
    assert "torch" not in packages
    assert "pillow" in packages
    size = sum(path.stat().st_size for path in light.parent.rglob("*") if path.is_file())
    assert size < 200e6


def test_it_inspects(light: Path, tmp_path: Path) -> None:
    done = shell(f"lora-checks inspect '{GOOD}'", tmp_path, light)
    assert (done.returncode, done.stderr) == (0, "")
    assert "106 unet layers" in done.stdout


def test_it_verifies_and_reports(light: Path, first_run: Run, tmp_path: Path) -> None:
    report, policy = first_run.report_folder, first_run.report["run"]["policy"]["directory"]
    again = shell(f"lora-checks report '{report}' --out again", tmp_path, light)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "report.html").stat().st_size > 10_000
    refused = next(one for one in first_run.report["loras"] if one["outcome"] != "PASS")
    done = shell(
        f"lora-checks verify '{refused['path']}' --policy '{policy}' --report '{report}'", tmp_path, light
    )
    assert done.returncode == 1, done.stderr
    assert "NOT RELEASED" in done.stdout


def test_what_needs_the_whole_says_which_package_is_missing(light: Path, tmp_path: Path) -> None:
    done = shell(f"lora-checks selftest --policy '{MINIATURE}'", tmp_path, light)
    assert done.returncode == 2
    assert done.stderr == (
        "error: insightface is not installed here; install it, or everything that the gate needs: "
        "pip install lora-checks\n"
    )


def test_the_miniature_comes_with_the_package(light: Path, tmp_path: Path) -> None:
    done = shell(
        "python -c 'from lora_checks.commands.demo import miniature_folder; print(miniature_folder())'",
        tmp_path,
        light,
    )
    folder = Path(done.stdout.strip())
    assert light.parent in folder.parents, done.stderr
    installed = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    networks = [f"evaluators/{name}" for name in ("clip", "faces", "trunk")]
    assert {str(path.parent) for path in installed if path.match("evaluators/*/*")} <= set(networks)
    for part in ("pipeline", *networks, "references", "train", "thresholds.yaml", "prompts.yaml"):
        place = MINIATURE / part
        files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
        assert {path.relative_to(MINIATURE) for path in files} <= installed
    done = shell("lora-checks demo", tmp_path, light)
    assert done.returncode == 2
    assert "pip install lora-checks" in done.stderr
