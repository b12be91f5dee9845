"""What an image costs by computation: the architecture's arithmetic, and the page with the code's figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import benchmarks
from lora_checks.core.records import Sampler
from lora_checks.gate import expected

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "what-a-run-costs.md"
SDXL = Sampler(30, 7.0, 1024, 1024)
A100 = "cuda NVIDIA A100-SXM4-80GB"


@pytest.fixture(scope="module")
def costs() -> Any:
    return benchmarks.load("costs")


@pytest.mark.parametrize("name", ["SD 1.5", "SDXL", "FLUX.1", "Qwen-Image"])
def test_the_arithmetic_of_a_step_is_that_of_the_architecture(costs: Any, name: str) -> None:
    base = next(base for base in costs.BASES if base.name == name)
    known = expected.STEPS[costs.PIPELINES[name]]
    assert known.side == base.side
    assert costs.tflop(base) == pytest.approx(known.tflop, rel=0.01)


def test_the_page_has_the_figures_of_the_code(costs: Any) -> None:
    _, _, rest = PAGE.read_text().partition("<!-- costs -->\n")
    assert rest.partition("\n<!-- end of costs -->")[0] == "\n".join(costs.tables()).strip()


def test_time_grows_with_steps_pixels_and_guidance() -> None:
    one = expected.seconds("StableDiffusionXLPipeline", A100, SDXL)
    assert one == pytest.approx(30 * 2 * 6.76 / (0.4 * 312))
    for change, factor in (
        ({"steps": 60}, 2),
        ({"guidance": 1.0}, 0.5),
        ({"guidance": None}, 0.5),
        ({"width": 512, "height": 512}, 0.25),
    ):
        changed = expected.seconds("StableDiffusionXLPipeline", A100, replace(SDXL, **change))
        assert changed == pytest.approx(one * factor)


def test_a_distilled_guidance_costs_nothing() -> None:
    assert expected.passes("FluxPipeline", replace(SDXL, guidance=3.5)) == 1
    assert expected.passes("FluxPipeline", replace(SDXL, guidance=3.5, true_cfg_scale=2.0)) == 2


@pytest.mark.parametrize(("pipeline", "card"), [("SanaPipeline", A100), ("FluxPipeline", "cpu")])
def test_nothing_is_expected_of_what_is_not_known(pipeline: str, card: str) -> None:
    assert expected.seconds(pipeline, card, SDXL) is None


def test_an_l40s_is_no_l4() -> None:
    fast, slow = (expected.seconds("FluxPipeline", f"cuda NVIDIA {card}", SDXL) for card in ("L40S", "L4"))
    assert fast is not None
    assert slow is not None
    assert fast < slow
