"""A denoiser kept in float8 by diffusers' layerwise casting: the images it makes, and LoRAs proven on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kinds
import pytest
import torch
from families import load
from sampled import FolderOf, images, loaded, prompts

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.core.records import Base, Quantization
from lora_checks.diffusion import apply
from lora_checks.diffusion.base import ResolvedBase, resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.room import Room
from lora_checks.diffusion.compiling import why_plain
from lora_checks.diffusion.proof import prove
from lora_checks.diffusion.quantised import networks, weights
from lora_checks.lora.file import inspect

PLACE = "prompts.yaml:4: base.quantization.transformer"
DENOISER = {"SD 1.x": "unet", "FLUX": "transformer"}
KINDS = ("kohya LoRA", "LyCORIS LoHa", "LyCORIS LoKr", "LyCORIS DoRA, rows", "LyCORIS LoHa with DoRA")


def cast(folder: Path, network: str = "transformer", skip: tuple[str, ...] = ()) -> ResolvedBase:
    asked = Quantization("diffusers", "fp8", skip, PLACE)
    return resolve(Base(str(folder), quantization={network: asked}))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("family", DENOISER)
def test_it_is_what_diffusers_itself_serves(family_folder: FolderOf, family: str, dtype: str) -> None:
    where, name, said = family_folder(family), DENOISER[family], prompts()
    pipe = loaded(cast(where, name), said, dtype)
    found = {weights.format_of(module) for module in weights.weighted(getattr(pipe, name))}
    assert found == {"", "diffusers fp8"}
    served = loaded(where, said, dtype)
    (plain,) = images(served, said)
    getattr(served, name).enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=getattr(torch, dtype)
    )
    (made,), (expected,) = images(pipe, said), images(served, said)
    assert (made.pixels == expected.pixels).all()
    assert not (made.pixels == plain.pixels).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("family", DENOISER)
def test_loras_are_proven_beside_cast_weights(
    family_folder: FolderOf, family: str, dtype: str, tmp_path: Path
) -> None:
    where, name = family_folder(family), DENOISER[family]
    files = [kinds.build(kind, load(where), tmp_path / f"{i}.safetensors") for i, kind in enumerate(KINDS)]
    pipe = loaded(cast(where, name), prompts(), dtype)
    for path in files:
        adapter = apply.load(pipe, inspect(path, path.stem), "x")
        apply.activate(pipe, {"x": 0.7})
        proof = prove(pipe, adapter, 0.7)
        assert proof.effect[name] > 1e-3
        assert proof.dtype == dtype
        apply.activate(pipe, {"x": 0.35})
        with pytest.raises(GenerationError, match="times the strength that the file states"):
            prove(pipe, adapter, 0.7)
        apply.remove(pipe, "x")
    assert not any("lora_" in key for key, _ in getattr(pipe, name).named_parameters())


def test_a_layer_that_computes_with_another_weight_is_found(family_folder: FolderOf, tmp_path: Path) -> None:
    where = family_folder("FLUX")
    path = kinds.build("kohya LoRA", load(where), tmp_path / "a.safetensors")
    pipe = loaded(cast(where), prompts(), "bfloat16")
    adapter = apply.load(pipe, inspect(path, "a"), "x")
    apply.activate(pipe, {"x": 1.0})
    bases = (
        pipe.transformer.get_submodule(path).get_base_layer()
        for one in adapter.placed
        for path in one.paths
        if one.layer.component == "transformer"
    )
    base = next(base for base in bases if weights.format_of(base) == weights.CAST)
    real = base.forward
    base.forward = lambda x: 1.3 * real(x)
    with pytest.raises(GenerationError, match=r"is diffusers fp8 on the base, and its output is .* away"):
        prove(pipe, adapter, 1.0)


def test_it_belongs_to_the_bases_identity(family_folder: FolderOf) -> None:
    where = family_folder("FLUX")
    plain, found, skipped = resolve(Base(str(where))), cast(where), cast(where, skip=("ff",))
    assert found.identity.startswith(f"{plain.identity} transformer diffusers fp8 (diffusers ")
    assert len({plain.identity, found.identity, skipped.identity}) == 3
    assert found.label.endswith(", transformer diffusers fp8")
    assert networks.versions(found.quantised) == ()  # diffusers' is in every recipe


def test_skipped_modules_stay_as_they_are(family_folder: FolderOf) -> None:
    pipe = loaded(cast(family_folder("FLUX"), skip=("attn",)), prompts(), "bfloat16")
    block = pipe.transformer.transformer_blocks[0]
    assert block.attn.to_q.weight.dtype == torch.bfloat16
    assert block.norm1.linear.weight.dtype == torch.bfloat16  # diffusers skips these of itself
    assert block.ff.net[0].proj.weight.dtype == torch.float8_e4m3fn


@pytest.mark.parametrize("family", DENOISER)
def test_memory_is_counted_in_eight_bits(family_folder: FolderOf, family: str) -> None:
    where, name = family_folder(family), DENOISER[family]
    base = cast(where, name)
    pipe = loaded(base, prompts(), "bfloat16")
    real = sum(weight.nbytes for weight in getattr(pipe, name).parameters())
    counted = Room(base, "cpu", "bfloat16", Memory()).parts[name].size
    assert 0.7 < counted / real <= 1.05


def test_cast_blocks_take_turns(family_folder: FolderOf) -> None:
    where, said = family_folder("FLUX"), prompts()
    (plain,) = images(loaded(cast(where), said, "bfloat16"), said)
    (made,) = images(loaded(cast(where), said, "bfloat16", Memory("group")), said)
    assert (made.pixels == plain.pixels).all()


def test_what_cannot_be_cast(family_folder: FolderOf) -> None:
    where = family_folder("FLUX")
    for name in ("text_encoder_2", "vae"):
        with pytest.raises(
            ConfigError, match=f"diffusers casts its own denoisers alone, and no {name}; take"
        ):
            cast(where, name)
    found = cast(where).quantised
    networks.check(found, where, "cuda", "group")
    with pytest.raises(ConfigError, match="--lora-offload sequential cannot take a quantised network apart"):
        networks.check(found, where, "cuda", "sequential")
    with pytest.raises(ConfigError, match="diffusers fp8 does not run on mps"):
        networks.check(found, where, "mps", "none")
    assert why_plain([], where, "none", bool(found)).startswith("networks of this base are quantised")


def test_numbers_that_float8_does_not_hold(family_folder: FolderOf, monkeypatch: Any) -> None:
    from diffusers import FluxTransformer2DModel

    where, read = family_folder("FLUX"), FluxTransformer2DModel.from_pretrained

    def large(*args: Any, **kwargs: Any) -> Any:
        network = read(*args, **kwargs)
        network.transformer_blocks[0].attn.to_q.weight.data[0, 0] = 500
        return network

    monkeypatch.setattr(FluxTransformer2DModel, "from_pretrained", large)
    with pytest.raises(
        GenerationError, match=r"transformer_blocks\.0\.attn\.to_q\.weight has numbers beyond 448"
    ):
        loaded(cast(where), prompts(), "bfloat16")
