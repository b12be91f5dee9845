"""The measurements for a lent GPU run whole on this machine, with small networks."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import benchmarks
from lora_checks.diffusion.base import groups

BATCHES = [f"batch {batch}{lora}" for lora in ("", ", with a LoRA") for batch in (1, 2, 4)]


@pytest.fixture(scope="module")
def gpu() -> Any:
    return benchmarks.load("gpu")


def run(gpu: Any, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--device", "cpu", *arguments])
    gpu.main()


def test_each_measurement_gives_figures(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "gpu.json"
    names = "steps,trips,vae,proof,offload,blocks,casting,equality"
    run(gpu, monkeypatch, "--tiny", "--only", names, "--out", str(out))
    found = json.loads(out.read_text())
    assert found["machine"]["tiny"] is True
    results = found["results"]
    assert list(results) == names.split(",")
    assert not any("not run" in result for result in results.values()), results
    bases = ("SD 1.5", "SDXL", "FLUX.1", "Qwen-Image")
    assert list(results["steps"]) == [f"{base}, {batch}" for base in bases for batch in BATCHES]
    assert all(result["seconds"] > 0 for result in results["steps"].values())
    assert set(results["trips"]) == set(results["blocks"]) == set(results["casting"]) == set(bases)
    assert set(results["offload"]) == {"none", "group"}
    assert results["proof"]["LoRA"]["worst_layer_error"] < 1e-3
    assert results["equality"]["float32"]["grey_levels"] < 1


def test_a_measurement_that_fails_leaves_the_others(gpu: Any, tmp_path: Path) -> None:
    def short(_: Any) -> Any:
        yield "first", {"seconds": 1.0}
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 24 GiB")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu, "MEASUREMENTS", {"short": short, "trips": gpu.trips})
        results = gpu.measured(gpu.Bench("cpu", True, tmp_path), ["short", "trips"], minutes=5)
    assert results["short"]["first"] == {"seconds": 1.0}
    assert "out of memory" in results["short"]["not run"]["why"]
    assert len(results["trips"]) == 4


def test_what_the_time_does_not_allow_is_listed(gpu: Any, tmp_path: Path) -> None:
    results = gpu.measured(gpu.Bench("cpu", True, tmp_path), ["trips"], minutes=0)
    assert results["trips"]["not run"] == {"why": "the time is over"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--only", "steps,stepz", "--tiny"], "stepz is not one of"), ([], "there is no GPU")],
)
def test_a_wrong_command_is_refused(
    gpu: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        run(gpu, monkeypatch, *arguments)
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "billions", "streamed"),
    [
        ("SD 1.5", 0.8595, 0.09),
        ("SDXL", 2.5675, 0.14),
        ("FLUX.1", 11.9014, 1.39),
        ("Qwen-Image", 20.4304, 1.34),
    ],
)
def test_bases_have_their_true_size(name: str, billions: float, streamed: float) -> None:
    """``streamed``: GiB in half precision that are on a card at once with --lora-offload group."""
    base = next(base for base in benchmarks.load("true_size").BASES if base.name == name)
    with torch.device("meta"):
        module = base.build(False)
    assert sum(weight.numel() for weight in module.parameters()) / 1e9 == pytest.approx(billions, abs=1e-4)
    assert groups.share(module) * billions * 2e9 / 2**30 == pytest.approx(streamed, abs=5e-3)
