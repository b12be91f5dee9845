"""Bases that diffusers has as modular pipelines alone: found, loaded, asked, refused where they must be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bare_lora
import hub_world
import native_layouts
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from test_bases_of_today import TOLERANCE, Gate, policy_of
from world import environment

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.records import Base
from lora_checks.diffusion import base as bases
from lora_checks.diffusion import tried
from lora_checks.diffusion.base import modular, room
from lora_checks.diffusion.base.family import family_of
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import load_pipeline, preflight
from lora_checks.diffusion.decoder import Limits
from lora_checks.diffusion.sampling import sample
from lora_checks.lora.file import inspect

RESOLVE = (
    "from lora_checks.core.records import Base; from lora_checks.diffusion.base import resolve; "
    "resolve(Base('team/anima'))"
)
SAMPLER: dict[str, Any] = {"max_sequence_length": 64}


@pytest.fixture(scope="module")
def folder(family_folder: Callable[[str], Path]) -> Path:
    return family_folder("Anima")


@pytest.fixture(scope="module")
def gate(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(folder, tmp_path_factory.mktemp("policy"), **SAMPLER)


def edited(folder: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of the base with another index."""
    shutil.copytree(folder, to)
    index = json.loads((to / modular.INDEX).read_text())
    change(index)
    (to / modular.INDEX).write_text(json.dumps(index))
    return to


def test_its_picture_is_that_of_diffusers_own_call(folder: Path, gate: Gate) -> None:
    from diffusers import ModularPipeline

    pipe = ModularPipeline.from_pretrained(str(folder), local_files_only=True)
    pipe.load_components(local_files_only=True)
    pipe.guider = pipe.guider.new(guidance_scale=3.0)
    (picture,) = pipe(
        prompt=gate.specs[0].prompt.text,
        generator=torch.Generator().manual_seed(gate.specs[0].seed),
        num_inference_steps=2,
        width=32,
        height=32,
        max_sequence_length=64,
        output_type="np",
        output="images",
    )
    assert (picture == gate.base).all()


def test_the_guidance_of_a_policy_reaches_its_guider(folder: Path, gate: Gate, tmp_path: Path) -> None:
    assert family_of(folder).unguided == ""
    own = Gate(folder, tmp_path, guidance=4.0, **SAMPLER)
    assert np.abs(own.base - gate.base).max() > 0.01
    again = replace(own.specs[0], sampler=replace(own.specs[0].sampler, guidance=None))
    (made,) = sample(gate.plain, [again], Limits(), lambda _: None)
    assert (made.pixels == own.base).all()  # its own 4.0


def test_a_guider_that_is_published_switched_off_guides(folder: Path, gate: Gate, tmp_path: Path) -> None:
    """As Z-Image's is; its own guidance of none stays where the policy says nothing."""
    prompts = policy_of(folder, tmp_path, **SAMPLER).prompts
    pipe = load_pipeline(bases.resolve(prompts.base), prompts, "cpu", "float32", Memory())
    pipe.guider = pipe.guider.new(enabled=False)
    assert (gate.pixels(pipe) == gate.base).all()
    silent = replace(gate.specs[0], sampler=replace(gate.specs[0].sampler, guidance=None))
    one = replace(gate.specs[0], sampler=replace(gate.specs[0].sampler, guidance=1.0))
    pictures = [next(sample(pipe, [spec], Limits(), lambda _: None)).pixels for spec in (silent, one)]
    assert (pictures[0] == pictures[1]).all()
    assert np.abs(pictures[0] - gate.base).max() > 0.01


def test_settings_that_do_nothing_are_refused(folder: Path, gate: Gate, tmp_path: Path) -> None:
    unguided = policy_of(folder, tmp_path / "negative", guidance=1, negative="'blurred'", **SAMPLER).prompts
    with pytest.raises(ConfigError, match="negative"):
        tried.refuse_ignored(gate.plain, folder, unguided)
    tried.refuse_ignored(gate.plain, folder, policy_of(folder, tmp_path / "good", **SAMPLER).prompts)
    cut = policy_of(folder, tmp_path / "cut", max_sequence_length=8).prompts
    with pytest.raises(ConfigError, match="tokens, and this base reads only the first 8"):
        preflight(bases.resolve(cut.base), cut, Memory())


def test_sizes_are_of_whole_tokens(folder: Path, tmp_path: Path) -> None:
    """Eight pixels a latent, as the published VAE has them, and two latents a token."""
    copy = shutil.copytree(folder, tmp_path / "base")
    config = json.loads((copy / "vae" / "config.json").read_text())
    config["temperal_downsample"] = [False, True, True]
    (copy / "vae" / "config.json").write_text(json.dumps(config))
    odd = policy_of(copy, tmp_path / "odd", width=40).prompts
    with pytest.raises(ConfigError, match="multiple of 16 on this base, not 40: write 32 or 48"):
        preflight(bases.resolve(odd.base), odd, Memory())


def test_an_argument_that_it_does_not_know_is_an_error(gate: Gate) -> None:
    """A modular pipeline itself warns and goes on without it."""
    with pytest.raises(TypeError, match="true_cfg_scale"):
        gate.plain(prompt="a", true_cfg_scale=2.0)


def test_a_lora_of_the_makers_names_is_of_both_its_networks(gate: Gate, tmp_path: Path) -> None:
    """The original model holds the conditioner as its `llm_adapter`, with the attention's names of both."""
    change = bare_lora.drawn(gate.plain, "transformer", "text_conditioner")
    names = {paths[0]: native for native, paths, _ in native_layouts.rows(gate.plain.transformer) or ()}
    spelt: dict[str, Callable[[str, str], str]] = {
        "diffusion_model.": lambda component, path: (
            "diffusion_model." + (names[path] if component == "transformer" else f"llm_adapter.{path}")
        ),
        "lora_unet_": lambda component, path: (
            "lora_unet_" + (names[path] if component == "transformer" else f"llm_adapter.{path}")
        ).replace(".", "_"),
    }
    for prefix, name in spelt.items():
        path = bare_lora.write(change, tmp_path / f"{prefix}.safetensors", name)
        lora = inspect(path, "lora")
        proof = gate.studio.prove(lora, ())
        assert set(proof.effect) == {"transformer", "text_conditioner"}
        assert proof.layers == len(change)
        assert np.abs(gate.made(lora) - gate.merged(change)).max() <= TOLERANCE


def test_only_what_is_in_the_folder_is_loaded(folder: Path, tmp_path: Path) -> None:
    """The index names the folder that it was saved to, and nobody knows what is there today."""
    copy = shutil.copytree(folder, tmp_path / "moved")
    identity = bases.resolve(Base(str(copy))).identity
    assert identity == bases.resolve(Base(str(folder))).identity
    weights = copy / "transformer" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    assert bases.resolve(Base(str(copy))).identity != identity
    weights.unlink()
    with pytest.raises(Exception, match="does not load"):
        Gate(copy, tmp_path / "policy", **SAMPLER)


def test_a_part_of_another_repository_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = edited(folder, tmp_path / "base", lambda index: index["tokenizer"][2].update(subfolder=""))
    with pytest.raises(
        ConfigError, match=r"tokenizer of this modular pipeline is not there.*save_pretrained"
    ):
        family_of(copy)
    shutil.rmtree(copy / "vae")
    with pytest.raises(ConfigError, match="tokenizer, vae of this modular pipeline are not there"):
        family_of(copy)


def test_an_index_that_was_written_before_its_parts_were_loaded(folder: Path, tmp_path: Path) -> None:
    def unload(index: dict[str, Any]) -> None:
        index["transformer"][:2] = [None, None]

    assert family_of(edited(folder, tmp_path / "base", unload)) == family_of(folder)


def test_blocks_that_are_no_part_of_diffusers_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = edited(folder, tmp_path / "base", lambda index: index.update(_blocks_class_name="MyBlocks"))
    with pytest.raises(ConfigError, match=r"MyBlocks.*runs no code of a base"):
        family_of(copy)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("LTXModularPipeline", "it makes videos"),
        ("MiniMaxH3ModularPipeline", "it makes videos"),
        ("MiniMaxMusic3ModularPipeline", "it makes sound"),
    ],
)
def test_other_modular_pipelines_say_what_they_make(tmp_path: Path, name: str, why: str) -> None:
    import diffusers

    own = getattr(diffusers, name)
    parts = list(getattr(diffusers, own.default_blocks_name)().expected_components)
    index: dict[str, Any] = {"_class_name": name, "_blocks_class_name": own.default_blocks_name}
    for part in parts:
        (tmp_path / part.name).mkdir()
        hint = [part.type_hint.__module__.partition(".")[0], part.type_hint.__name__]
        spec = {"subfolder": part.name, "pretrained_model_name_or_path": None, "type_hint": hint}
        index[part.name] = [*hint, spec]
    (tmp_path / modular.INDEX).write_text(json.dumps(index))
    with pytest.raises(ConfigError, match=why):
        family_of(tmp_path)


def test_its_weights_are_counted(folder: Path) -> None:
    parts = room.Room(bases.resolve(Base(str(folder))), "cpu", "float32", Memory()).parts
    assert {"transformer", "text_encoder", "text_conditioner", "vae"} == parts.keys()


def test_a_single_file_of_it_is_refused(folder: Path) -> None:
    file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    with pytest.raises(ConfigError, match="name the folder of the whole pipeline"):
        bases.resolve(Base(str(file), config=str(folder)))


def test_it_comes_from_the_hub_whole(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ours(index: dict[str, Any]) -> None:
        for value in index.values():
            if isinstance(value, list):
                value[2]["pretrained_model_name_or_path"] = "team/anima"

    repository = edited(folder, tmp_path / "repository", ours)
    cache = tmp_path / "hub"
    with hub_world.serving({"team/anima": repository}) as address:
        env = environment({"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HUB_CACHE": str(cache)})
        subprocess.run([sys.executable, "-c", RESOLVE], env=env, check=True, timeout=120)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    found = bases.resolve(Base("team/anima"))
    assert found.identity == f"team/anima@{hub_world.COMMIT}"
    assert family_of(found.folder) == family_of(folder)
    assert bases.present(Base("team/anima")) == found
    (found.folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    assert bases.present(Base("team/anima")) is None
    with pytest.raises(PrerequisiteError, match="not on this machine"):
        bases.resolve(Base("team/anima"))
