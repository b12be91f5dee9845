"""What is wrong with a LoRA on a pipeline is found and named; what is right passes, on every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import kinds
import pytest
import torch
from families import FAMILIES
from safetensors.torch import load_file, save_file
from world import MINIATURE

from lora_checks.core.errors import GenerationError, LoraFileError
from lora_checks.diffusion import apply
from lora_checks.diffusion.proof import prove
from lora_checks.diffusion.proof.module import tuner_layers
from lora_checks.lora.file import inspect

GOOD = MINIATURE / "loras" / "good.safetensors"
UNDERFIT = MINIATURE / "loras" / "underfit.safetensors"
QUERY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
KEY = "mid_block.attentions.0.transformer_blocks.0.attn1.to_k"


def loaded(folder: Path, dtype: str = "float32") -> Any:
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    pipe = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def miniature() -> Any:
    return loaded(MINIATURE / "pipeline")


@pytest.fixture
def put(miniature: Any) -> Iterator[Callable[..., apply.Adapter]]:
    """Puts a file on the miniature and makes it active; it is off again after the test."""
    names = []

    def put_on(path: Path = GOOD, name: str = "gated", strength: float = 1.0) -> apply.Adapter:
        adapter = apply.load(miniature, inspect(path, path.stem), name)
        names.append(name)
        apply.activate(miniature, dict.fromkeys(names, strength))
        return adapter

    yield put_on
    for name in names:
        apply.remove(miniature, name)


def layer(pipe: Any, path: str = QUERY, component: str = "unet") -> Any:
    """PEFT's layer on a module of the base."""
    return getattr(pipe, component).get_submodule(path)


def changed(path: Path, change: Callable[[str, torch.Tensor], torch.Tensor], source: Path = GOOD) -> Path:
    save_file({name: change(name, value).contiguous() for name, value in load_file(source).items()}, path)
    return path


def state(pipe: Any) -> list[Any]:
    """All that a proof could leave behind."""
    parts = [module for component in apply.components(pipe).values() for module in component.modules()]
    hooks = [(len(module._forward_pre_hooks), len(module._forward_hooks)) for module in parts]
    active = [(tuner.active_adapters, dict(tuner.scaling)) for tuner in tuner_layers(pipe.unet)]
    training = [module.training for module in parts]
    trained = [value.requires_grad for value in pipe.unet.parameters()]
    return [
        hooks,
        active,
        training,
        trained,
        pipe.scheduler.num_inference_steps,
        torch.get_rng_state().tolist(),
    ]


# --- what is right


def test_a_good_lora_is_proven_to_full_precision(miniature: Any, put: Any) -> None:
    proof = prove(miniature, put(), 1.0)
    assert (proof.tensors, proof.layers, proof.unused, proof.dead) == (212, 106, (), ())
    assert (proof.device, proof.dtype) == ("cpu", "float32")
    assert proof.worst_layer_error < 1e-6
    assert set(proof.effect) == {"unet"}
    assert 0.3 < proof.effect["unet"] < 3


def test_a_proof_is_the_same_every_time_and_leaves_no_trace(miniature: Any, put: Any) -> None:
    adapter = put()
    scheduler, before = miniature.scheduler, state(miniature)
    first = prove(miniature, adapter, 1.0)
    torch.manual_seed(5)
    assert prove(miniature, adapter, 1.0) == first
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert prove(miniature, adapter, 1.0) == first
    assert miniature.scheduler is scheduler
    assert state(miniature)[:-1] == before[:-1]


def test_torchs_generator_is_left_where_it_was(miniature: Any, put: Any) -> None:
    adapter = put()
    before = torch.get_rng_state()
    prove(miniature, adapter, 1.0)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_leaves_no_trace_either(miniature: Any, put: Any) -> None:
    adapter = put()
    layer(miniature).lora_B["gated_lora"].weight.data.mul_(1.5)
    before = state(miniature)
    with pytest.raises(GenerationError):
        prove(miniature, adapter, 1.0)
    assert state(miniature) == before


@pytest.mark.parametrize("strength", [0.3, 1.7])
def test_another_strength_is_proven_as_such(miniature: Any, put: Any, strength: float) -> None:
    adapter = put(strength=strength)
    assert prove(miniature, adapter, strength).worst_layer_error < 1e-6
    with pytest.raises(GenerationError, match=rf"acts at {strength:.4g} times the strength that the file"):
        prove(miniature, adapter, 1.0)


def test_companions_stay_on_both_sides(miniature: Any, put: Any) -> None:
    adapter = put()
    alone = prove(miniature, adapter, 1.0)
    put(MINIATURE / "loras" / "overfit.safetensors", "companion")
    together = prove(miniature, adapter, 1.0, {"companion": 1.0})
    assert together.worst_layer_error == pytest.approx(alone.worst_layer_error, rel=1e-3)
    assert together.effect["unet"] != pytest.approx(alone.effect["unet"], rel=0.01)


def test_a_companion_that_nobody_named_is_found(miniature: Any, put: Any) -> None:
    adapter = put()
    put(UNDERFIT, "companion")
    with pytest.raises(GenerationError, match="is not alone on the base: adapter companion_lora is active"):
        prove(miniature, adapter, 1.0)


def test_a_base_offloaded_layer_by_layer_gives_the_same_proof() -> None:
    accelerate = pytest.importorskip("accelerate")
    pipe = loaded(MINIATURE / "pipeline")
    adapter = apply.load(pipe, inspect(GOOD, "good"), "gated")
    apply.activate(pipe, {"gated": 1.0})
    whole = prove(pipe, adapter, 1.0)
    for part in (pipe.unet, pipe.text_encoder, pipe.vae):
        accelerate.cpu_offload(part, execution_device=torch.device("cpu"))
    assert all(value.is_meta for value in pipe.unet.parameters())
    assert prove(pipe, adapter, 1.0) == whole
    rescaled(pipe)
    with pytest.raises(GenerationError, match=f"{QUERY} acts at 1.02 times"):
        prove(pipe, adapter, 1.0)


# --- what is wrong


def dead(pipe: Any) -> None:
    layer(pipe).lora_B["gated_lora"].weight.data.zero_()


def rescaled(pipe: Any) -> None:
    layer(pipe).scaling["gated_lora"] *= 1.02


def exchanged(pipe: Any) -> None:
    one, two = layer(pipe, QUERY), layer(pipe, KEY)
    one.lora_A["gated_lora"], two.lora_A["gated_lora"] = two.lora_A["gated_lora"], one.lora_A["gated_lora"]
    one.lora_B["gated_lora"], two.lora_B["gated_lora"] = two.lora_B["gated_lora"], one.lora_B["gated_lora"]


def halves_swapped(pipe: Any) -> None:
    weight = layer(pipe).lora_B["gated_lora"].weight
    weight.data = torch.cat(weight.data.chunk(2)[::-1])


def one_number_lost(pipe: Any) -> None:
    layer(pipe).lora_A["gated_lora"].weight.data[0, 0] = 0


def not_a_number(pipe: Any) -> None:
    layer(pipe).lora_B["gated_lora"].weight.data[3, 2] = torch.nan


def overflowing(pipe: Any) -> None:
    layer(pipe).scaling["gated_lora"] = float("inf")


def never_filled(pipe: Any) -> None:
    layer(pipe).lora_B["gated_lora"].to("meta")


def removed(pipe: Any) -> None:
    layer(pipe).delete_adapter("gated_lora")


def off(pipe: Any) -> None:
    apply.activate(pipe, {})


def disabled(pipe: Any) -> None:
    for tuner in tuner_layers(pipe.unet):
        tuner.enable_adapters(False)


def off_on_one_layer(pipe: Any) -> None:
    layer(pipe)._active_adapter = []


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (dead, f"{QUERY} adds nothing, though the file's numbers for it are not zero"),
        (rescaled, f"{QUERY} acts at 1.02 times the strength that the file states"),
        (exchanged, "does not do what the file's numbers for it give: "),
        (halves_swapped, f"{QUERY} does not do what the file's numbers for it give: "),
        (one_number_lost, f"{QUERY} does not do what the file's numbers for it give: "),
        (not_a_number, f"has NaN or Inf on unet {QUERY}"),
        (overflowing, f"{QUERY} gives numbers that are not finite"),
        (never_filled, f"has no numbers after loading (meta device) on unet {QUERY}"),
        (removed, f"is not on unet {QUERY}, though the file has a layer for it"),
        (off, "is loaded but not active on unet "),
        (disabled, "is loaded but not active on unet "),
        (off_on_one_layer, f"is loaded but not active on unet {QUERY}"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_harm_to_one_of_106_layers_is_found(
    miniature: Any, put: Any, harm: Callable[[Any], None], sentence: str
) -> None:
    adapter = put()
    harm(miniature)
    with pytest.raises(GenerationError) as error:
        prove(miniature, adapter, 1.0)
    assert sentence in str(error.value)
    assert str(error.value).startswith("good.safetensors")
    assert len(str(error.value)) < 300


def test_numbers_too_large_for_the_formula_are_called_so(miniature: Any, put: Any, tmp_path: Path) -> None:
    huge = changed(tmp_path / "huge.safetensors", lambda _key, value: torch.full(value.shape, 3e38))
    with pytest.raises(GenerationError, match=r"^huge\.safetensors: .* gives numbers that are not finite"):
        prove(miniature, put(huge), 1.0)


def test_what_is_merged_into_the_base_is_not_taken_for_the_base() -> None:
    pipe = loaded(MINIATURE / "pipeline")
    adapter = apply.load(pipe, inspect(GOOD, "good"), "gated")
    apply.activate(pipe, {"gated": 1.0})
    layer(pipe).merge(adapter_names=["gated_lora"])
    with pytest.raises(GenerationError, match="adds nothing, though"):
        prove(pipe, adapter, 1.0)


def test_a_layer_that_the_file_leaves_at_zero_is_listed_and_is_no_error(
    miniature: Any, put: Any, tmp_path: Path
) -> None:
    name = f"unet.{QUERY}.lora_B.weight"
    path = changed(tmp_path / "part.safetensors", lambda key, value: value * (key != name))
    proof = prove(miniature, put(path), 1.0)
    assert proof.dead == (f"unet.{QUERY}",)
    assert proof.layers == 106


def test_a_layer_that_acts_though_the_file_leaves_it_at_zero_is_found(
    miniature: Any, put: Any, tmp_path: Path
) -> None:
    name = f"unet.{QUERY}.lora_B.weight"
    adapter = put(changed(tmp_path / "part.safetensors", lambda key, value: value * (key != name)))
    layer(miniature).lora_B["gated_lora"].weight.data.fill_(1e-6)
    with pytest.raises(
        GenerationError, match="adds something, though the file's numbers for it are all zero"
    ):
        prove(miniature, adapter, 1.0)


def test_a_lora_that_does_no_more_than_rounding_had_no_effect(
    miniature: Any, put: Any, tmp_path: Path
) -> None:
    faint = changed(
        tmp_path / "faint.safetensors",
        lambda key, value: value.float() * (1e-6 if "lora_B" in key else 1),
    )
    with pytest.raises(
        GenerationError, match=r"^faint\.safetensors had no effect on the unet: .*e-0[67] of "
    ):
        prove(miniature, put(faint), 1.0)


def test_a_layer_that_the_base_never_runs_is_found(
    miniature: Any, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = put()
    monkeypatch.setitem(vars(miniature.unet.mid_block), "forward", lambda hidden, *_args, **_kwargs: hidden)
    with pytest.raises(GenerationError, match=r"changes unet mid_block\..* which the base never runs"):
        prove(miniature, adapter, 1.0)


def test_a_base_that_cannot_run_is_named_with_the_cause(
    miniature: Any, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = put()
    monkeypatch.setattr(miniature, "tokenizer", None)
    with pytest.raises(GenerationError, match="the base could not be run on a small image to prove the LoRA"):
        prove(miniature, adapter, 1.0)


# --- text encoders


@pytest.fixture(scope="module")
def portrait(family_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of unet and text encoder, for SD 1.x."""
    folder = family_folder("SD 1.x")
    return kinds.build(
        "kohya LoRA", loaded(folder), tmp_path_factory.mktemp("kohya") / "portrait.safetensors"
    )


def text_layers(pipe: Any) -> list[Any]:
    return [slot.tuner for slot in apply.slots(pipe)["gated"] if slot.component == "text_encoder"]


def text_off(pipe: Any) -> None:
    for tuner in text_layers(pipe):
        tuner.set_adapter([])


def text_deleted(pipe: Any) -> None:
    for tuner in text_layers(pipe):
        tuner.delete_adapter("gated_lora")


def text_zero(pipe: Any) -> None:
    for tuner in text_layers(pipe):
        tuner.scaling["gated_lora"] = 0.0


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (text_off, "portrait.safetensors is loaded but not active on text_encoder "),
        (text_deleted, "portrait.safetensors is not on text_encoder "),
        (text_zero, "adds nothing, though the file's numbers for it are not zero"),
    ],
    ids=["off", "deleted", "strength 0"],
)
def test_a_text_encoder_left_out_is_found(
    family_folder: Callable[[str], Path], portrait: Path, harm: Callable[[Any], None], sentence: str
) -> None:
    pipe = loaded(family_folder("SD 1.x"))
    adapter = apply.load(pipe, inspect(portrait, "portrait"), "gated")
    apply.activate(pipe, {"gated": 1.0})
    assert set(prove(pipe, adapter, 1.0).effect) == {"unet", "text_encoder"}
    harm(pipe)
    with pytest.raises(GenerationError) as error:
        prove(pipe, adapter, 1.0)
    assert sentence in str(error.value)


@pytest.mark.parametrize("family", ["SD 2.x", "SDXL", "FLUX"])
def test_a_lora_of_another_family_never_comes_so_far(
    family_folder: Callable[[str], Path], portrait: Path, family: str
) -> None:
    with pytest.raises((GenerationError, LoraFileError), match=r"^portrait\.safetensors: "):
        apply.load(loaded(family_folder(family)), inspect(portrait, "portrait"), "gated")


# --- every family, in every precision


EVERYWHERE = {  # float16 is slow on a CPU
    "float32": ("LyCORIS LoHa", "LyCORIS LoKr"),
    "bfloat16": ("kohya LoRA, resized", "LyCORIS DoRA, columns"),
    "float16": ("kohya LoRA, resized",),
}


@pytest.fixture(scope="module")
def files(family_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("files")

    def file(family: str, kind: str) -> Path:
        path = folder / f"{family} {kind}.safetensors".replace(" ", "-")
        return path if path.exists() else kinds.build(kind, loaded(family_folder(family)), path)

    return file


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-5), ("bfloat16", 8e-3), ("float16", 1e-3)])
def test_good_files_are_proven_on_every_family_in_every_precision(
    family_folder: Callable[[str], Path], files: Any, family: str, dtype: str, error: float
) -> None:
    pipe = loaded(family_folder(family), dtype)
    for kind in EVERYWHERE[dtype]:
        adapter = apply.load(pipe, inspect(files(family, kind), "file"), "gated")
        apply.activate(pipe, {"gated": 0.8})
        proof = prove(pipe, adapter, 0.8)
        apply.remove(pipe, "gated")
        assert proof.worst_layer_error < error, kind
        assert proof.dtype == dtype
        assert set(proof.effect) == set(adapter.lora.components), kind
        assert min(proof.effect.values()) > 0.01, kind


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_two_percent_too_much_is_found_in_half_precision(dtype: str) -> None:
    pipe = loaded(MINIATURE / "pipeline", dtype)
    adapter = apply.load(pipe, inspect(UNDERFIT, "underfit"), "gated")
    apply.activate(pipe, {"gated": 1.0})
    assert prove(pipe, adapter, 1.0).effect["unet"] == pytest.approx(0.0225, rel=0.1)
    rescaled(pipe)
    with pytest.raises(GenerationError, match=r"acts at 1\.0[12]\d* times the strength that the file states"):
        prove(pipe, adapter, 1.0)


def test_numbers_that_float16_cannot_hold_are_found(tmp_path: Path) -> None:
    """A file whose factors are so uneven that float16 ends before one of them does."""
    tiny = changed(
        tmp_path / "tiny.safetensors",
        lambda key, value: value.float() * (2.0**-17 if "lora_B" in key else 2.0**9),
    )
    for dtype in ("bfloat16", "float16"):
        pipe = loaded(MINIATURE / "pipeline", dtype)
        adapter = apply.load(pipe, inspect(tiny, "tiny"), "gated")
        apply.activate(pipe, {"gated": 256.0})
        if dtype == "bfloat16":
            assert prove(pipe, adapter, 256.0).worst_layer_error < 8e-3
            continue
        with pytest.raises(
            GenerationError, match=r"does not do what .* very small, pass --lora-dtype float32"
        ):
            prove(pipe, adapter, 256.0)
