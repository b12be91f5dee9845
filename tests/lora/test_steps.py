"""Steps and epochs from the names and the metadata that trainers give."""

from __future__ import annotations

from pathlib import Path

import pytest

from lora_checks.lora.facts import facts_of
from lora_checks.lora.steps import epoch_of, run_of, step_of

NAMES = {  # file -> step, epoch, run
    # sd-scripts and musubi-tuner: STEP_FILE_NAME "{}-step{:08d}", EPOCH_FILE_NAME "{}-{:06d}"
    "person-step00000100.safetensors": (100, None, "person"),
    "at-step00002000.safetensors": (2000, None, "at"),
    "person-000010.safetensors": (None, 10, "person"),
    "person_v2-000004.safetensors": (None, 4, "person_v2"),
    "person.safetensors": (None, None, "person"),
    # ai-toolkit: f"_{str(step).zfill(9)}"
    "my_person_000000500.safetensors": (500, None, "my_person"),
    "my_person_000000500_high_noise.safetensors": (500, None, "my_person"),
    # OneTrainer: prefix, timestamp, "-save-", f"{global_step}-{epoch}-{epoch_step}"
    "2026-11-24_18-44-25-save-1200-10-0.safetensors": (1200, 10, "."),
    "sks2026-11-24_18-44-25-save-1200-10-20.safetensors": (1200, 10, "sks"),
    # diffusers, SimpleTuner, XLabs: a folder for each
    "out/checkpoint-500/pytorch_lora_weights.safetensors": (500, None, "out"),
    "out/checkpoint-5000/lora.safetensors": (5000, None, "out"),
    # diffusion-pipe
    "20260101_10-00-00/step750/adapter_model.safetensors": (750, None, "20260101_10-00-00"),
    "20260101_10-00-00/epoch5/adapter_model.safetensors": (None, 5, "20260101_10-00-00"),
    # cloneofsimo's lora
    "lora_weight_e3_s700.safetensors": (700, 3, "lora_weight"),
    # by hand
    "step-0100.safetensors": (100, None, "."),
    "step-000100.safetensors": (100, None, "."),
    "person-checkpoint-002000.safetensors": (2000, None, "person"),
    "step_100.safetensors": (100, None, "."),
    "person-500steps.safetensors": (500, None, "person"),
    "person_1500_steps.safetensors": (1500, None, "person"),
    "person-epoch-10-step-500.safetensors": (500, 10, "person"),
    "person_global_step_40.safetensors": (40, None, "person"),
    "Person-STEP-0.safetensors": (0, None, "Person"),
    # what is none
    "person-v2.safetensors": (None, None, "person-v2"),
    "person_500.safetensors": (None, None, "person_500"),
    "footstep2.safetensors": (None, None, "footstep2"),
    "person-2026.safetensors": (None, None, "person-2026"),
    "person-20261124.safetensors": (None, None, "person-20261124"),
    "person-20261124-184425.safetensors": (None, None, "person-20261124-184425"),
    "person-step٣.safetensors": (None, None, "person-step٣"),
    "person-step" + "9" * 400 + ".safetensors": (None, None, "person-step" + "9" * 400),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_trainers_name_tells_its_step_or_its_epoch_and_never_one_as_the_other(name: str) -> None:
    assert (step_of(Path(name), {}), epoch_of(name, {}), run_of(name)) == NAMES[name]


def test_the_metadata_is_believed_before_the_name() -> None:
    facts = facts_of({"ss_steps": "900", "ss_epoch": "3", "ss_max_train_steps": "2000"})
    assert step_of("person-step00000100.safetensors", facts) == 900
    assert epoch_of("person-000010.safetensors", facts) == 3


def test_the_steps_that_were_planned_are_not_those_that_were_trained() -> None:
    facts = facts_of({"ss_max_train_steps": "2000"})
    assert step_of("person-step00000100.safetensors", facts) == 100
    assert step_of("person.safetensors", facts) is None
    assert facts == {"planned steps": "2000"}


def test_ai_toolkit_says_its_step_in_the_metadata() -> None:
    facts = facts_of({"training_info": '{"step": 500, "epoch": 12}'})
    assert (step_of("person.safetensors", facts), epoch_of("person.safetensors", facts)) == (500, 12)


@pytest.mark.parametrize("text", ["many", "-5", "1e3", "9" * 13, "٣"])
def test_metadata_that_is_no_number_says_nothing(text: str) -> None:
    assert step_of("person.safetensors", {"steps": text}) is None
