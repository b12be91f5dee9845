"""The scheduler that the policy asks for, or the line that asks for one that cannot be had."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sampled import FolderOf, checked, images, loaded, prompts

from lora_checks.core.errors import ConfigError

EULER = "EulerDiscreteScheduler"


def test_the_scheduler_and_settings_of_the_policy(family_folder: FolderOf) -> None:
    folder = family_folder("SD 1.x")
    plain = prompts(scheduler="EulerDiscreteScheduler", steps=4)
    karras = prompts(
        scheduler="EulerDiscreteScheduler", scheduler_settings={"use_karras_sigmas": True}, steps=4
    )
    pipes = [loaded(folder, said) for said in (plain, karras)]
    assert [pipe.scheduler.config.use_karras_sigmas for pipe in pipes] == [False, True]
    assert pipes[1].scheduler.config.beta_end == 0.012  # of the base's own settings, the rest stays
    made = [images(pipe, said)[0].pixels for pipe, said in zip(pipes, (plain, karras), strict=True)]
    assert np.abs(made[0] - made[1]).max() > 0.01


def test_settings_alone_keep_the_class_of_the_base(family_folder: FolderOf) -> None:
    said = prompts(scheduler_settings={"shift": 1.5})
    pipe = loaded(family_folder("SD3"), said)
    assert type(pipe.scheduler).__name__ == "FlowMatchEulerDiscreteScheduler"
    assert pipe.scheduler.config.shift == 1.5


@pytest.mark.parametrize(
    ("family", "sampler", "message"),
    [
        ("SD 1.x", {"scheduler": "DimScheduler"},
         "2: sampler.scheduler: 'DimScheduler' is not a diffusers scheduler class"),
        ("SD 1.x", {"scheduler": "AutoencoderKL"}, "2: sampler.scheduler: 'AutoencoderKL' is not a diffuse"),
        ("SD 1.x", {"scheduler": EULER, "scheduler_settings": {"use_karas_sigmas": True}},
         "3: sampler.scheduler_settings.use_karas_sigmas: EulerDiscreteScheduler has no such setting; did "
         "you mean 'use_karras_sigmas'"),
        ("SD 1.x", {"scheduler": EULER, "scheduler_settings": {"use_karras_sigmas": "yes"}},
         "3: sampler.scheduler_settings.use_karras_sigmas: must be like False in EulerDiscreteScheduler"),
        ("SD 1.x", {"scheduler_settings": {"beta_schedule": "steep"}}, "refuses them: steep is not impl"),
        ("FLUX", {"scheduler": EULER},
         "2: sampler.scheduler: this base predicts a flow, which needs a FlowMatch scheduler"),
        ("SDXL", {"scheduler": "FlowMatchEulerDiscreteScheduler"},
         "2: sampler.scheduler: this base predicts no flow, so it cannot use a FlowMatch scheduler"),
    ],
)  # fmt: skip
def test_a_scheduler_that_the_base_cannot_use(
    family_folder: FolderOf, family: str, sampler: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^prompts\.yaml:.*{message}"):
        checked(family_folder(family), prompts(**sampler))


def test_another_sampler_for_flow_models(family_folder: FolderOf) -> None:
    settings = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    said = prompts(scheduler="DPMSolverMultistepScheduler", scheduler_settings=settings)
    assert checked(family_folder("SD3"), said) == ()
    assert np.isfinite(images(loaded(family_folder("SD3"), said), said)[0].pixels).all()
