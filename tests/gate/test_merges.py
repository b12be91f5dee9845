"""Half of a good LoRA and half of a bad one: most images are good, and a mean alone would let it pass."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from world import MINIATURE, Gate, Run, World

from lora_checks.record.ranking import rank

LORAS = MINIATURE / "loras"
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
try:
    from merges import BAD, DOWN, UP, merge
finally:
    sys.path.pop(0)


@pytest.mark.parametrize("bad", BAD)
def test_a_merge_adds_half_of_each_delta(bad: str, tmp_path: Path) -> None:
    paths = [LORAS / f"{name}.safetensors" for name in ("good", bad)]
    one, other, both = (
        load_file(path) for path in (*paths, merge(paths[0], paths[1], tmp_path / "m.safetensors"))
    )
    for name in [name for name in one if name.endswith(DOWN)][:8]:
        deltas = [
            file[name.replace(DOWN, UP)].astype(np.float64).reshape(-1, file[name].shape[0])
            @ file[name].astype(np.float64).reshape(file[name].shape[0], -1)
            for file in (one, other, both)
        ]
        np.testing.assert_allclose(deltas[2], (deltas[0] + deltas[1]) / 2, atol=1e-4)


def test_the_same_merge_has_the_same_bytes(tmp_path: Path) -> None:
    paths = LORAS / "good.safetensors", LORAS / "overfit.safetensors"
    files = [merge(*paths, tmp_path / f"{i}.safetensors").read_bytes() for i in range(2)]
    assert files[0] == files[1]


@pytest.fixture(scope="module")
def run(world: World, miniature_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Both under the miniature's own policy, 32 prompts each."""
    folder = tmp_path_factory.mktemp("merges")
    merged = merge(LORAS / "good.safetensors", LORAS / "overfit.safetensors", folder / "half.safetensors")
    report, store = ("--lora-report", folder / "report"), ("--lora-store", miniature_store)
    loras = "--lora", LORAS / "good.safetensors", "--lora", merged
    return Gate(folder, world).pytest("--lora-policy", MINIATURE, *loras, *report, *store)


def test_the_merge_is_stopped_although_its_means_pass(run: Run) -> None:
    found = {check: outcome for (lora, check), outcome in run.outcomes.items() if lora == "half"}
    assert {run.outcomes["good", check] for check in found} == {"PASS"}
    for mean in ("identity", "identity-gain", "prompt-adherence", "not-a-copy", "distribution"):
        assert found[mean] == "PASS", mean
    assert found["prompts-ignored"] != "PASS"
    assert run.code == 1


@pytest.mark.parametrize("declared", [True, False])
def test_it_is_worth_less_than_the_good_one_although_its_identity_is_higher(run: Run, declared: bool) -> None:
    document = run.report if declared else run.report | {"run": run.report["run"] | {"ranking": []}}
    ranking = rank(document)
    assert ranking is not None
    good, half = ranking["leaderboard"]
    assert (good["lora"], half["lora"]) == ("good", "half")
    assert half["values"]["identity"] > good["values"]["identity"]
    assert half["utility"] < good["utility"]
    assert half["judged"] < good["judged"]
