"""--base MODEL: a pipeline folder or a hub id."""

from __future__ import annotations

import shutil

from world import Gate


def test_the_same_weights_elsewhere_are_the_same_base(gate: Gate) -> None:
    shutil.copytree(gate.world.pipeline, gate.folder / "base-v2")
    run = gate("--lora", gate.world.good, "--base", "base-v2")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["base"]["model"] == str(gate.folder / "base-v2")
    assert "generating" not in run.err  # the images of the first place serve


def test_a_folder_that_is_no_pipeline(gate: Gate) -> None:
    (gate.folder / "empty").mkdir()
    run = gate("--lora", gate.world.good, "--base", "empty")
    assert run.code == 4
    assert "no model_index.json there" in run.err


def test_a_path_that_is_not_there_is_no_hub_id(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--base", "./bse")
    assert run.code == 4
    assert "does not exist; give a pipeline directory or a hub id 'owner/name'" in run.err


def test_a_hub_id_that_is_not_cached_offline(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--base", "team/base", HF_HUB_CACHE=str(gate.folder / "hub"))
    assert run.code == 4
    assert "base model team/base is not on this machine and could not be downloaded" in run.err
    assert "Traceback" not in run.out + run.err
