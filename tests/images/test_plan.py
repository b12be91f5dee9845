"""Which images a LoRA is judged on, and what names them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Base, Lora, Prompt, PromptSet, Sampler
from lora_checks.images import plan

PROMPTS = PromptSet(
    base=Base("/models/base"),
    sampler=Sampler(steps=4, guidance=4.0, width=64, height=64),
    prompts=(
        Prompt("red", "sks person in red", ("shirt=red",), "prompts.yaml:9"),
        Prompt("blue", "sks person"),
    ),
    seeds=(1, 7, 9),
    trigger="sks person",
    class_words="person",
)
MACHINE = plan.Machine("digest-of-base", "cuda:1", "float16", ("torch 2.14.1",))
LORA = Lora(Path("a.safetensors"), "a", "9c1e" * 16, "diffusers", (4,), (4.0,), {"unet": 3}, 6)


def test_every_prompt_with_every_seed_in_the_order_of_the_names() -> None:
    specs = plan.baseline(PROMPTS, MACHINE)
    assert plan.names(PROMPTS) == ("red/1", "red/7", "red/9", "blue/1", "blue/7", "blue/9")
    assert [spec.prompt.id for spec in specs] == ["red"] * 3 + ["blue"] * 3


def test_the_baseline_differs_from_the_candidate_by_the_lora_alone() -> None:
    candidate, baseline = plan.candidate(PROMPTS, MACHINE, LORA), plan.baseline(PROMPTS, MACHINE)
    assert [replace(spec, lora=None, lora_scale=0.0) for spec in candidate] == list(baseline)
    assert {(spec.lora, spec.lora_scale) for spec in candidate} == {(LORA.sha256, 1.0)}


def test_a_lora_is_applied_at_its_strength_and_companions_are_on_both_sides() -> None:
    style = replace(LORA, sha256="1" * 64, scale=0.7)
    machine, lora = replace(MACHINE, companions=(style,)), replace(LORA, scale=0.6)
    candidate, baseline = plan.candidate(PROMPTS, machine, lora)[0], plan.baseline(PROMPTS, machine)[0]
    assert (candidate.lora_scale, baseline.lora_scale) == (0.6, 0.0)
    assert candidate.companions == baseline.companions == (("1" * 64, 0.7),)


@pytest.mark.parametrize(("device", "kind"), [("cuda:1", "cuda"), ("cuda", "cuda"), ("mps", "mps")])
def test_an_image_is_of_its_machine(device: str, kind: str) -> None:
    machine = replace(MACHINE, device=device, memory=("vae-tiling",))
    spec = plan.baseline(PROMPTS, machine)[0]
    assert (spec.base, spec.device, spec.dtype) == ("digest-of-base", kind, "float16")
    assert (spec.versions, spec.memory) == (("torch 2.14.1",), ("vae-tiling",))


def test_a_counterpart_is_the_image_of_that_prompt_and_seed_without_the_lora() -> None:
    specs = dict(zip(plan.names(PROMPTS), plan.baseline(PROMPTS, MACHINE), strict=True))
    assert plan.counterparts(PROMPTS, MACHINE, ["blue/7", "red/1"]) == (specs["blue/7"], specs["red/1"])
    (other,) = plan.counterparts(PROMPTS, MACHINE, ["red/8"])
    assert (other.prompt.id, other.seed) == ("red", plan.noise_seed(other.prompt, 8))


@pytest.mark.parametrize("name", ["green/1", "red/x", "red/-1", "red", "blue/red/1"])
def test_an_image_of_no_prompt_and_seed_has_no_counterpart(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} has no counterpart without the LoRA"):
        plan.counterparts(PROMPTS, MACHINE, ["red/1", name])


def test_no_two_images_start_from_the_same_noise() -> None:
    seeds = [spec.seed for spec in plan.baseline(PROMPTS, MACHINE)]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_noise_belongs_to_the_prompt_and_not_to_its_place() -> None:
    """Adding or moving a prompt must not change the other images, which are stored already."""
    swapped = replace(PROMPTS, prompts=PROMPTS.prompts[::-1])
    before = {(spec.prompt.id, spec.seed): spec.digest for spec in plan.baseline(PROMPTS, MACHINE)}
    after = {(spec.prompt.id, spec.seed): spec.digest for spec in plan.baseline(swapped, MACHINE)}
    assert before == after


def test_known_noise_seed() -> None:
    """This value never changes: another one would regenerate every stored image."""
    assert plan.noise_seed(Prompt("red", ""), 1) == 259635104


def test_pixels_do_not_depend_on_where_a_prompt_was_written_or_which_gpu_it_was() -> None:
    spec = plan.baseline(PROMPTS, MACHINE)[0]
    moved = replace(
        spec, prompt=replace(spec.prompt, source="elsewhere.yaml:1", tags=("other",), id="crimson")
    )
    assert moved.digest == spec.digest
    assert plan.baseline(PROMPTS, replace(MACHINE, device="cuda:0"))[0].digest == spec.digest


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 5},
        {"base": "another"},
        {"lora": "9c1e" * 16},
        {"lora_scale": 0.5},
        {"dtype": "float32"},
        {"device": "cpu"},
        {"versions": ("torch 2.14.2",)},
        {"prompt": Prompt("red", "sks person in blue")},
        {"sampler": replace(PROMPTS.sampler, steps=5)},
        {"sampler": replace(PROMPTS.sampler, negative="blurry")},
        {"sampler": replace(PROMPTS.sampler, scheduler="DDIMScheduler")},
        {"companions": (("1" * 64, 0.7),)},
    ],
    ids=str,
)
def test_whatever_changes_pixels_changes_the_digest(change: dict[str, object]) -> None:
    spec = plan.baseline(PROMPTS, MACHINE)[0]
    assert replace(spec, **change).digest != spec.digest  # type: ignore[arg-type]
