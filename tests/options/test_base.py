"""--lora-base MODEL: a pipeline folder or a hub id."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from PIL import Image
from world import Gate, row


def test_the_same_weights_elsewhere_are_the_same_base(gate: Gate) -> None:
    shutil.copytree(gate.world.pipeline, gate.folder / "base-v2")
    run = gate("--lora", gate.world.good, "--lora-base", "base-v2")
    assert run.code == 0, run.out + run.err
    assert run.report["run"]["base"]["model"] == str(gate.folder / "base-v2")
    assert "generating" not in run.err  # the images of the first place serve


def test_a_folder_that_is_no_pipeline(gate: Gate) -> None:
    (gate.folder / "empty").mkdir()
    run = gate("--lora", gate.world.good, "--lora-base", "empty")
    assert run.code == 4
    assert "no model_index.json there" in run.err


def test_a_path_that_is_not_there_is_no_hub_id(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-base", "./bse")
    assert run.code == 4
    assert (
        "does not exist; give a pipeline directory, a .safetensors checkpoint or a hub id 'owner/name'"
        in run.err
    )


def test_a_hub_id_that_is_not_cached_offline(gate: Gate) -> None:
    run = gate("--lora", gate.world.good, "--lora-base", "team/base", HF_HUB_CACHE=str(gate.folder / "hub"))
    assert run.code == 4
    assert "base model team/base is not on this machine and could not be downloaded" in run.err
    assert "Traceback" not in run.out + run.err


def test_a_single_file_without_settings_says_what_to_name(gate: Gate) -> None:
    shutil.copy(
        gate.world.pipeline / "unet" / "diffusion_pytorch_model.safetensors", gate.folder / "one.safetensors"
    )
    run = gate(
        "--lora", gate.world.good, "--lora-base", "one.safetensors", HF_HUB_CACHE=str(gate.folder / "hub")
    )
    assert run.code == 4
    assert (
        "base one.safetensors: stable-diffusion-v1-5/stable-diffusion-v1-5, which has its settings,"
        in run.err
    )
    assert "name a pipeline folder of its family with 'config:' under base:" in run.err


def test_a_pickle_is_refused(gate: Gate) -> None:
    (gate.folder / "one.ckpt").touch()
    run = gate("--lora", gate.world.good, "--lora-base", "one.ckpt")
    assert run.code == 4
    assert "one.ckpt is a pickle, which can run code when it is loaded" in run.err


def test_the_policy_s_vae_and_scheduler_are_part_of_what_is_made(gate: Gate, tmp_path: Path) -> None:
    """Each change makes other images; both are in the record."""
    policy = gate.world.write(
        tmp_path / "policy", row("faces", "arcface", "stat: missing, max: 1"), prompts=1
    )
    vae = Path(shutil.copytree(gate.world.pipeline / "vae", tmp_path / "soft"))
    prompts = policy / "prompts.yaml"
    plain = prompts.read_text()
    assert f"{gate.world.pipeline}}}" in plain
    with_vae = plain.replace(f"{gate.world.pipeline}}}", f"{gate.world.pipeline}, vae: {vae}}}")
    settings = (
        "guidance: 2.0, scheduler: EulerDiscreteScheduler, scheduler_settings: {use_karras_sigmas: true}"
    )
    stores = []
    for text in (plain, with_vae, with_vae.replace("guidance: 2.0", settings)):
        prompts.write_text(text)
        run = gate("--lora", gate.world.good, "--lora-policy", policy, "--lora-store", tmp_path / "store")
        assert run.code == 0, run.out + run.err
        stores.append({path.name for path in (tmp_path / "store").glob("images/*/*.png")})
    assert [len(found) for found in stores] == [2, 4, 6]
    assert " with VAE soft " in run.report["run"]["base"]["label"]
    folder = gate.folder / run.row("faces")["images"]
    recipe = json.loads(Image.open(next(folder.glob("*.png"))).text["lora_checks"])
    assert recipe["scheduler_settings"] == {"use_karras_sigmas": True}
    assert " vae " in recipe["base"]


def test_what_the_base_cannot_do_ends_the_run_before_it(gate: Gate) -> None:
    policy = gate.world.write(gate.folder / "policy")
    prompts = policy / "prompts.yaml"
    prompts.write_text(prompts.read_text().replace("guidance: 2.0", "guidance: 2.0, scheduler: DimScheduler"))
    run = gate("--lora", gate.world.good, "--lora-policy", policy)
    assert run.code == 4
    assert "prompts.yaml:2: sampler.scheduler: 'DimScheduler' is not a diffusers scheduler class" in run.err
    assert "Traceback" not in run.out + run.err
