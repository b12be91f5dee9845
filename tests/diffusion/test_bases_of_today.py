"""The bases that people train on today, from their folder to a proven LoRA and its picture.

Each is a tiny pipeline of diffusers' own classes (tests/families), written as a user's base is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import bare_lora
import numpy as np
import pytest
from bare_lora import Change

from lora_checks.core.errors import GenerationError
from lora_checks.core.records import ImageSpec, Lora, Policy, Proof
from lora_checks.diffusion import apply
from lora_checks.diffusion.base import resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import load_pipeline, preflight
from lora_checks.diffusion.decoder import Limits
from lora_checks.diffusion.generate import Studio
from lora_checks.diffusion.sampling import sample
from lora_checks.images import plan
from lora_checks.lora.file import inspect
from lora_checks.policy.reading import load_policy

FolderOf = Callable[[str], Path]
TOLERANCE, EFFECT = 1e-4, 0.05  # of pixels in [0, 1]
# What the policy of each says beside the usual; of Kandinsky's seven sizes this is one of the smallest.
BASES: dict[str, dict[str, Any]] = {
    "Anima": {"max_sequence_length": 64},
    "AuraFlow": {},
    "Chroma": {"max_sequence_length": 64},
    "CogView4": {},
    "ERNIE-Image": {},
    "FLUX.2 dev": {"max_sequence_length": 64},
    "FLUX.2 klein": {"max_sequence_length": 64, "guidance": 0},
    "FLUX.2 klein base": {"max_sequence_length": 64},
    "HiDream": {"max_sequence_length": 64, "width": 128, "height": 128},
    "HunyuanImage 2.1": {},
    "Ideogram 4": {"max_sequence_length": 64},
    "Kandinsky 5": {"width": 640, "height": 1408, "steps": 1, "guidance": 1.0},
    "Krea 2": {"max_sequence_length": 64},
    "Krea 2 Turbo": {"max_sequence_length": 64, "guidance": 0},
    "Lumina2": {"max_sequence_length": 64},
    "PixArt Alpha": {},
    "PixArt Sigma": {},
    "Qwen-Image": {"true_cfg_scale": 3.0, "guidance": 0, "negative": "'blurred'"},
    "SD3.5 large": {},
    "Sana": {},
    "Z-Image": {"max_sequence_length": 64},
    "Z-Image Turbo": {"max_sequence_length": 64, "guidance": 0},
}
SAMPLER = {"steps": 2, "guidance": 3.0, "width": 32, "height": 32}
PROMPTS = """\
base: {{model: {base}}}
sampler: {{{sampler}}}
trigger: sks person
class_words: person
seeds: [1]
prompts: [{{id: red, text: a sks person in red}}]
"""


def policy_of(base: Path, folder: Path, **sampler: Any) -> Policy:
    settings = ", ".join(f"{key}: {value}" for key, value in (SAMPLER | sampler).items())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts.yaml").write_text(PROMPTS.format(base=base, sampler=settings))
    (folder / "thresholds.yaml").write_text("checks:\n  light: {metric: brightness, min: 1, why: it shows}\n")
    return load_policy(folder)


class Gate:
    """The studio of one base, its own picture, and a pipeline that weights are merged into."""

    def __init__(self, base: Path, folder: Path, **sampler: Any) -> None:
        self.own = folder
        prompts = policy_of(base, folder, **sampler).prompts
        resolved = resolve(prompts.base)
        self.folder = resolved.folder
        self.warnings = preflight(resolved, prompts, Memory())
        self.studio = Studio(resolved, prompts, "cpu", "float32")
        self.specs: tuple[ImageSpec, ...] = plan.baseline(prompts, plan.Machine("base", "cpu", "float32", ()))
        self.plain = load_pipeline(resolved, prompts, "cpu", "float32", Memory())
        self.base = self.pixels(self.plain)

    def pixels(self, pipe: Any) -> np.ndarray:
        (made,) = sample(pipe, self.specs, Limits(), lambda _: None)
        return made.pixels

    def merged(self, change: Change) -> np.ndarray:
        """The picture of the base with the formula added to its weights; they are put back afterwards."""
        before = bare_lora.merge(self.plain, change)
        picture = self.pixels(self.plain)
        for module, weight in before.items():
            module.weight.data = weight
        return picture

    @cached_property
    def proven(self) -> tuple[Change, Lora, Proof]:
        """A LoRA of all layers of the denoiser, put on the studio's pipeline and proven there."""
        change = bare_lora.drawn(self.plain, "transformer")
        lora = inspect(bare_lora.write(change, self.own / "lora.safetensors"), "lora")
        return change, lora, self.studio.prove(lora, ())

    def made(self, lora: Lora) -> np.ndarray:
        """The picture as the studio's pipeline makes it of the LoRA."""
        list(self.studio.render(self.specs, lora))
        return self.pixels(self.studio._pipe)


@pytest.fixture(scope="module")
def gate(family_folder: FolderOf, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Gate]:
    gates: dict[str, Gate] = {}

    def of(name: str) -> Gate:
        if name not in gates:
            gates[name] = Gate(family_folder(name), tmp_path_factory.mktemp("policy"), **BASES[name])
        return gates[name]

    return of


@pytest.mark.parametrize("name", BASES)
def test_a_base_from_its_folder_to_a_proven_lora(gate: Callable[[str], Gate], name: str) -> None:
    bench = gate(name)
    assert bench.warnings == ()
    assert bench.base.shape == (bench.specs[0].sampler.height, bench.specs[0].sampler.width, 3)
    assert bench.base.std() > 0.08
    assert ((bench.base == 0) | (bench.base == 1)).mean() < 0.1
    change, lora, proof = bench.proven
    assert proof.layers == len(change)
    assert (proof.dead, proof.unused) == ((), ())
    assert proof.effect["transformer"] > 0.1
    assert proof.worst_layer_error < 1e-5
    merged = bench.merged(change)
    assert np.abs(merged - bench.base).max() > EFFECT
    assert np.abs(bench.made(lora) - merged).max() <= TOLERANCE
    apply.activate(bench.studio._pipe, {})
    assert (bench.pixels(bench.studio._pipe) == bench.base).all()


@pytest.mark.parametrize("name", BASES)
def test_half_of_a_layer_that_is_lost_is_caught(gate: Callable[[str], Gate], name: str) -> None:
    studio = gate(name).studio
    change, lora, _ = gate(name).proven
    path = list(change)[len(change) // 2][1]
    factors = studio._pipe.transformer.get_submodule(path).lora_B
    weight = factors[f"lora_{lora.sha256[:16]}_lora"].weight
    halved = weight.detach().clone()  # the parameter shares the memory of the file's tensor
    halved[: len(weight) // 2] = 0
    weight.data = halved
    with pytest.raises(GenerationError, match=r"lora\.safetensors") as error:
        studio.prove(lora, ())
    assert path in str(error.value)


@pytest.mark.parametrize(
    "networks", [("unconditional_transformer",), ("transformer", "unconditional_transformer")]
)
def test_a_lora_may_change_the_second_transformer_of_ideogram(
    gate: Callable[[str], Gate], tmp_path: Path, networks: tuple[str, ...]
) -> None:
    bench = gate("Ideogram 4")
    change = bare_lora.drawn(bench.plain, *networks, seed=2)
    lora = inspect(bare_lora.write(change, tmp_path / "lora.safetensors"), "lora")
    proof = bench.studio.prove(lora, ())
    assert set(proof.effect) == set(networks)
    assert proof.layers == len(change)
    assert np.abs(bench.made(lora) - bench.merged(change)).max() <= TOLERANCE


def test_ideograms_own_name_of_its_first_transformer(gate: Callable[[str], Gate], tmp_path: Path) -> None:
    bench = gate("Ideogram 4")
    change = bare_lora.drawn(bench.plain, "transformer", seed=3)
    path = bare_lora.write(
        change, tmp_path / "lora.safetensors", lambda _, name: f"conditional_transformer.{name}"
    )
    proof = bench.studio.prove(inspect(path, "lora"), ())
    assert set(proof.effect) == {"transformer"}
    assert proof.layers == len(change)


def test_a_text_encoder_that_is_called_in_parts_cannot_be_proven(
    gate: Callable[[str], Gate], tmp_path: Path
) -> None:
    """Ideogram runs the layers of its encoder itself."""
    bench = gate("Ideogram 4")
    drawn = bare_lora.drawn(bench.plain, "text_encoder")
    change = {spot: pair for spot, pair in drawn.items() if "language_model.layers.0." in spot[1]}
    lora = inspect(bare_lora.write(change, tmp_path / "lora.safetensors"), "lora")
    with pytest.raises(GenerationError, match="does not call, or not as a whole"):
        bench.studio.prove(lora, ())


def test_the_guidance_of_a_policy_reaches_a_guider(family_folder: FolderOf, tmp_path: Path) -> None:
    """HunyuanImage's call takes none; without one in the policy its guider's own 3.5 counts."""
    strong, own = (
        Gate(family_folder("HunyuanImage 2.1"), tmp_path / name, guidance=scale)
        for name, scale in (("strong", 6.0), ("own", 3.5))
    )
    assert np.abs(strong.base - own.base).max() > 0.01
    again = replace(strong.specs[0], sampler=replace(strong.specs[0].sampler, guidance=None))
    (made,) = sample(strong.plain, [again], Limits(), lambda _: None)
    assert (made.pixels == own.base).all()


def test_the_rewriter_of_ernie_image_has_no_say(family_folder: FolderOf, tmp_path: Path) -> None:
    """It would write another prompt in every run, whatever the seed."""
    pipe = Gate(family_folder("ERNIE-Image"), tmp_path).plain
    assert pipe.pe is None
    assert pipe.pe_tokenizer is None


def test_the_comparison_sees_a_strength_of_one_per_cent_less(gate: Callable[[str], Gate]) -> None:
    bench = gate("AuraFlow")
    change = bare_lora.drawn(bench.plain, "transformer")
    less = {spot: (down, 0.99 * up) for spot, (down, up) in change.items()}
    assert np.abs(bench.merged(change) - bench.merged(less)).max() > 3 * TOLERANCE


@pytest.mark.parametrize(
    "name", ["Chroma", "CogView4", "FLUX.2 dev", "PixArt Sigma", "Qwen-Image", "Z-Image"]
)
def test_a_picture_does_not_depend_on_a_longer_prompt_beside_it(
    gate: Callable[[str], Gate], name: str
) -> None:
    """Texts of a batch are padded to one length, which must not be read as text."""
    bench = gate(name)
    (spec,) = bench.specs
    text = f"{spec.prompt.text} shirt, and three birds in a tree, with glasses and a smile"
    longer = replace(spec, seed=2, prompt=replace(spec.prompt, text=text))
    together = [made.pixels for made in sample(bench.plain, [spec, longer], Limits(), lambda _: None)]
    (alone,) = sample(bench.plain, [longer], Limits(), lambda _: None)
    assert np.abs(together[0] - bench.base).max() <= TOLERANCE
    assert np.abs(together[1] - alone.pixels).max() <= TOLERANCE
