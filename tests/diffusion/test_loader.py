"""What diffusers' own loader makes of a file, told without the base's weights, against the loader itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kinds
import kinds_of_today
import pytest
import torch
from families import load
from safetensors.torch import load_file, save_file
from sampled import loaded, prompts
from test_evidence import silent
from world import MINIATURE

from lora_checks.__main__ import main
from lora_checks.core.store import Store
from lora_checks.diffusion import apply, loader
from lora_checks.diffusion.apply.placement import place
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.diffusion.loader import running
from lora_checks.diffusion.loader.loading import Loading, Strength
from lora_checks.diffusion.proof import formulas
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy

FolderOf = Callable[[str], Path]
# "The following alpha_pattern keys did not match": that is what the loader of kohya's files does.
pytestmark = pytest.mark.filterwarnings("ignore:The following .*_pattern keys:RuntimeWarning")
# base, kind of file, what is said of it
CELLS = [
    ("SD 1.x", "diffusers (PEFT)", "diffusers loads all 133 layers at the same strength"),
    ("SD 1.x", "kohya LoRA, resized", "at another strength (such as lora_unet_"),
    ("SD 1.x", "LyCORIS LoHa", "diffusers refuses the file: ValueError: The following keys"),
    ("SD 1.x", "LyCORIS DoRA, rows", "layers, all of them without magnitudes (DoRA)"),
    ("SD 1.x", "ComfyUI (`diffusion_model.`)", "loads none of 121 layers and raises no error"),
    ("SD 1.x", "LyCORIS LoCon", "loads all 133 layers at the same strength"),
    ("Chroma", "OneTrainer LEGACY", "diffusers loads all 41 layers at strength 1 instead of 0.5"),
    ("Z-Image", "ai-toolkit, ComfyUI, diffusion-pipe", "loads 18 of 29 layers at the same strength"),
    ("Krea 2", "OneTrainer COMFY", "diffusers refuses the file: ValueError: `state_dict` should be empty"),
    ("Anima", "ai-toolkit, ComfyUI, diffusion-pipe", "diffusers loads all 38 layers at the same strength"),
    ("Anima", "OneTrainer COMFY", "diffusers refuses the file: ValueError: Invalid LoRA checkpoint"),
    ("FLUX.2 klein", "ai-toolkit LoKr", "loads all 29 layers, 1 of them with other numbers"),
]


@pytest.fixture(scope="module")
def build(
    family_folder: FolderOf, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, str], tuple[Path, Path]]:
    """A base's folder, and a file of a kind for it."""
    folder = tmp_path_factory.mktemp("loader")

    def make(base: str, kind: str) -> tuple[Path, Path]:
        path = folder / f"{base} {kind}.safetensors".replace("/", " ")
        pipe = loaded(family_folder(base), prompts("a"))
        by = kinds if kind in kinds.KINDS and base in kinds.KINDS[kind].families else kinds_of_today
        return family_folder(base), by.build(kind, pipe, path)

    return make


def strengths(pipe: Any, path: Path) -> dict[str, float]:
    """How much of each layer the real pipeline has got, in multiples of the file's own formula."""
    lora = inspect(path, "lora")
    tensors = apply.read(lora)
    placed, _ = place(pipe, lora, tensors)
    own = getattr(pipe, "blocks_of", pipe)  # of a modular pipeline, what diffusers itself has
    if own is not pipe:
        own.update_components(**{name: part for name, part in pipe.components.items() if part is not None})
    try:
        own.load_lora_weights(str(path), weight_name=path.name, adapter_name="own")
    except (ValueError, NotImplementedError) as error:
        return {type(error).__name__: 0.0}
    ratios = {}
    for one in placed:
        network = apply.components(pipe)[one.layer.component]
        tuners = [network.get_submodule(name) for name in one.paths]
        if all("own" in getattr(tuner, "lora_A", ()) for tuner in tuners):
            theirs = torch.cat([tuner.get_delta_weight("own").detach().flatten(1) for tuner in tuners])
            stated = formulas.weight_change(one.layer, tensors, torch.zeros_like(theirs)).flatten(1)
            ratios[one.layer.name] = float((theirs * stated).sum() / (stated * stated).sum())
    return ratios


@pytest.mark.parametrize(("base", "kind", "words"), CELLS)
def test_what_is_said_is_what_the_loader_does(
    build: Callable[[str, str], tuple[Path, Path]], base: str, kind: str, words: str
) -> None:
    folder, path = build(base, kind)
    loading = loader.of_folder(inspect(path, "lora"), folder)
    assert words in loading.words()
    if "DoRA" in kind or "LoKr" in kind:  # the formula of these is no multiple of what is loaded
        return
    real = strengths(loaded(folder, prompts("a")), path)
    if loading.refused:
        assert list(real) == [loading.refused.split(":")[0]]
        return
    assert loading.loaded == len(real)
    other = [ratio for ratio in real.values() if abs(ratio - 1) > 0.01]
    assert sum(strength.layers for strength in loading.others) == len(other)
    for strength in loading.others:
        assert strength.theirs / strength.stated == pytest.approx(real[strength.example], rel=0.02)
    assert loading.faithful == (loading.loaded == loading.layers and not other)


def test_old_attention_processors_without_a_prefix_are_not_loaded(
    build: Callable[[str, str], tuple[Path, Path]], tmp_path: Path
) -> None:
    folder, path = build("SD 1.x", "diffusers, attention processors")
    tensors = load_file(path)
    bare = {name.removeprefix("unet."): tensors[name] for name in tensors if name.startswith("unet.")}
    save_file(bare, tmp_path / "bare.safetensors")
    lora = inspect(tmp_path / "bare.safetensors", "bare")
    loading = loader.of_folder(lora, folder)
    assert (loading.layers, loading.loaded, loading.refused) == (len(lora.layers), 0, "")
    assert strengths(load(folder), lora.path) == {}
    assert loader.of_folder(inspect(path, "with"), folder).faithful


def test_what_cannot_be_told_is_said_to_be_unknown(
    build: Callable[[str, str], tuple[Path, Path]], family_folder: FolderOf, tmp_path: Path
) -> None:
    _, path = build("SD 1.x", "diffusers (PEFT)")
    lora = inspect(path, "lora")
    assert loader.of_folder(lora, tmp_path).unknown == "FileNotFoundError"
    assert "not known (0 of 133 layers match" in loader.of_folder(lora, family_folder("Chroma")).words()
    (tmp_path / "model_index.json").write_text('{"_class_name": "Nothing"}')
    words = loader.of_folder(lora, tmp_path).words()
    assert "not known" in words
    assert "'Nothing' is no pipeline" in words


def test_the_libraries_are_as_before(build: Callable[[str, str], tuple[Path, Path]]) -> None:
    folder, path = build("SD 1.x", "LyCORIS LoHa")
    levels = [logging.getLogger(name).level for name in ("diffusers", "transformers")]
    state = torch.get_rng_state()
    assert loader.of_folder(inspect(path, "lora"), folder).refused
    assert levels == [logging.getLogger(name).level for name in ("diffusers", "transformers")]
    assert torch.equal(state, torch.get_rng_state())


def test_a_run_finds_out_once_and_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = GeneratedImages(load_policy(MINIATURE), Store(tmp_path), "cpu", "float32", 1, lambda _: silent)
    lora = inspect(MINIATURE / "loras" / "good.safetensors", "good")
    first = loader.kept(source.store, lora, source.base)
    assert first.faithful

    def fails(*_: Any) -> Loading:
        raise ZeroDivisionError

    monkeypatch.setattr(running, "loading", fails)
    assert loader.kept(source.store, lora, source.base) == first
    assert "diffusers loads all 106 layers at the same strength" in source.evidence(lora).sentence
    elsewhere = loader.kept(Store(tmp_path / "other"), lora, source.base)
    assert elsewhere.words() == "what diffusers loads of it is not known (ZeroDivisionError)"
    assert not list((tmp_path / "other").rglob("loaders/*"))  # it is asked again in the next run


def test_strengths_come_back_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = GeneratedImages(load_policy(MINIATURE), Store(tmp_path), "cpu", "float32", 1, lambda _: silent)
    lora = inspect(MINIATURE / "loras" / "good.safetensors", "good")
    loading = Loading(106, 106, (Strength(1.0, 0.5, 6, "a"),), plain=2)
    monkeypatch.setattr(running, "loading", lambda *_: loading)
    assert [loader.kept(source.store, lora, source.base) for _ in range(2)] == [loading] * 2
    assert "6 of them at another strength (such as a: 1 instead of 0.5)" in loading.words()


def test_inspect_tells_it(
    build: Callable[[str, str], tuple[Path, Path]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, path = build("Chroma", "OneTrainer LEGACY")
    assert main(["inspect", str(path), "--base", str(folder)]) == 0
    assert "on the base diffusers loads all 41 layers at strength 1 instead of 0.5" in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["inspect", str(path), "--base", str(folder), "--json"]) == 0
    assert '"stated": 0.5' in capsys.readouterr().out
    assert main(["inspect", str(path), "--base", str(tmp_path)]) == 2
    assert "no model_index.json" in capsys.readouterr().err
