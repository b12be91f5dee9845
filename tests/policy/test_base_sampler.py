"""`sampler: base:`: the settings of the images without the LoRA."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Policy
from lora_checks.images import plan
from lora_checks.policy.reading import load_policy

SAMPLER = "sampler: {steps: 4, guidance: 1.0, width: 64, height: 64, scheduler: LCMScheduler"
MACHINE = plan.Machine("base", "cpu", "float32", ("torch 1",))


def policy(tmp_path: Path, more: str = "") -> Policy:
    (tmp_path / "thresholds.yaml").write_text("checks: {a: {metric: m, max: 1, why: w}}\n")
    (tmp_path / "prompts.yaml").write_text(
        "base: {model: owner/model}\n"
        f"{SAMPLER}{more}\n"
        "trigger: sks\nclass_words: person\nseeds: [1]\n"
        "prompts: [{id: p, text: a photo of sks}]\n"
    )
    return load_policy(tmp_path)


def test_what_it_does_not_name_is_as_with_the_lora(tmp_path: Path) -> None:
    prompts = policy(tmp_path, ", base: {steps: 30, guidance: 7.0, scheduler: own}}").prompts
    base = prompts.of_base.sampler
    assert (base.steps, base.guidance, base.scheduler, base.width) == (30, 7.0, None, 64)
    assert prompts.sampler.scheduler == "LCMScheduler"
    assert prompts.of_base.place("guidance").endswith("prompts.yaml:2: sampler.base.guidance")
    assert prompts.of_base.place("width").endswith("prompts.yaml:2: sampler.width")
    assert [arm.sampler for arm in prompts.arms] == [prompts.sampler, base]


def test_settings_belong_to_the_scheduler_that_is_named_beside_them(tmp_path: Path) -> None:
    with_lora = ", scheduler_settings: {original_inference_steps: 50}"
    base = policy(tmp_path, f"{with_lora}, base: {{scheduler: DDIMScheduler}}}}").prompts.of_base.sampler
    assert dict(base.scheduler_settings) == {}
    base = policy(tmp_path, f"{with_lora}, base: {{steps: 8}}}}").prompts.of_base.sampler
    assert dict(base.scheduler_settings) == {"original_inference_steps": 50}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("{}", "sampler.base: names no setting"),
        ("{steps: 4}", "sampler.base: says what holds with the LoRA, too"),
        ("{width: 128}", "sampler.base.width: unknown key"),
        ("{stepz: 9}", "sampler.base.stepz: unknown key; did you mean 'steps'?"),
        ("{steps: 0}", "sampler.base.steps: must be at least 1"),
        ("{negative: '(dark:1.3)'}", "sampler.base.negative: '(dark:1.3)' looks like a weight"),
        ("30", "sampler.base: must be a mapping"),
    ],
)
def test_faults_are_named_with_their_place(tmp_path: Path, base: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        policy(tmp_path, f", base: {base}}}")
    assert f"prompts.yaml:2: {message}" in str(error.value)


def test_images_and_digests_follow_it(tmp_path: Path) -> None:
    plain, other = policy(tmp_path, "}"), policy(tmp_path, ", base: {steps: 30}}")
    assert plain.digest != other.digest
    assert plain.parts["thresholds"] == other.parts["thresholds"]
    before, after = (plan.baseline(each.prompts, MACHINE)[0] for each in (plain, other))
    assert (before.sampler.steps, after.sampler.steps) == (4, 30)
    assert plan.counterparts(other.prompts, MACHINE, ["p/7"])[0].sampler.steps == 30
    assert plan.without_lora(other.prompts, MACHINE)[0].digest == before.digest


def test_without_it_nothing_changes(tmp_path: Path) -> None:
    """The addresses of images and the digest of a policy are those of before the key existed."""
    plain = policy(tmp_path, "}")
    prompts = plain.prompts
    assert plain.digest[:16] == "e5d8c60b7b7cf494"
    assert plan.baseline(prompts, MACHINE)[0].digest[:16] == "a7760a332792f951"
    assert prompts.of_base is prompts
    assert [arm.sampler for arm in prompts.arms] == [prompts.sampler]
    assert plan.baseline(prompts, MACHINE) == plan.without_lora(prompts, MACHINE)


@pytest.mark.parametrize(
    ("base", "differing"),
    [
        ("{steps: 30}", "the base's images have other steps"),
        ("{steps: 30, scheduler: own}", "the base's images have other steps and scheduler"),
        ("{guidance: 7.0, negative: dark}", ""),
    ],
)
def test_other_steps_and_schedulers_part_the_pairs(tmp_path: Path, base: str, differing: str) -> None:
    """Guidance leaves the noise and the way from it as they are."""
    assert policy(tmp_path, f", base: {base}}}").prompts.unpaired == differing
