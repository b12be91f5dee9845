"""``axes:`` of thresholds.yaml: what LoRAs differ in, by patterns of their names; and --lora-axis."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_policy import small_policy

from lora_checks.core.errors import ConfigError
from lora_checks.gate.axis import asked
from lora_checks.lora.candidates import Candidate
from lora_checks.policy.axes import keys_by

CHECKS = "checks: {a: {metric: flat, max: 0.1, why: w}}\n"
AXES = """axes:
  caption: {"*gpt4o*": gpt4o, "*": florence}
  resolution: {"*-1024*": 1024, "loras/*": 512}
"""


def test_the_first_pattern_that_fits_the_name_or_path_gives_the_value(tmp_path: Path) -> None:
    axes = small_policy(tmp_path, CHECKS + AXES).axes
    assert keys_by(axes, "person-gpt4o", Path("loras/person-gpt4o.safetensors")) == {
        "caption": "gpt4o", "resolution": "512"
    }  # fmt: skip
    assert keys_by(axes, "person-1024", Path("loras/x.safetensors"))["resolution"] == "1024"
    assert keys_by(axes, "person", Path("elsewhere.safetensors")) == {"caption": "florence"}


def test_they_decide_nothing(tmp_path: Path) -> None:
    with_axes = small_policy(tmp_path, CHECKS + AXES).digest
    assert small_policy(tmp_path, CHECKS).digest == with_axes


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("axes: {prompt: {'*': a}}", r"thresholds.yaml:2: axes.prompt: 'prompt' cannot be a key"),
        ("axes: {Rank: {'*': 4}}", "'Rank' cannot be a key"),
        (
            "axes: {rank: {}}",
            'axes.rank: names no LoRA; write patterns with values, such as {"[*]-r16[*]": 16}',
        ),
        ("axes: {rank: {'*': true}}", "must be text"),
        ("axes: {rank: 16}", "axes.rank"),
    ],
)
def test_what_cannot_be_an_axis(tmp_path: Path, axes: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small_policy(tmp_path, CHECKS + axes)


def test_the_axis_that_is_asked_for_is_one_of_the_loras(tmp_path: Path) -> None:
    policy = small_policy(tmp_path, CHECKS + AXES)
    good = Path(__file__).parents[2] / "examples/miniature/loras/good.safetensors"
    loras = {"good": Candidate("good", good)}
    assert [asked(text, loras, policy) for text in (None, "caption", "Rank", "strength", "steps")] == [
        "", "caption", "rank", "scale", "step"
    ]  # fmt: skip
    with pytest.raises(
        ConfigError, match="--lora-axis: no LoRA has the key 'captoin'; did you mean 'caption'"
    ):
        asked("captoin", loras, policy)
    with pytest.raises(ConfigError, match=r"no LoRA has the key .weather.; known: caption, .*step, epoch"):
        asked("weather", loras, policy)
