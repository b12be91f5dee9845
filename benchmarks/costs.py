"""Count the arithmetic of a denoiser's step, and what runs cost by card, without weights or a GPU.

python benchmarks/costs.py

Prints the tables of docs/explanation/what-a-run-costs.md; the page holds exactly these.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.flop_counter import FlopCounterMode
from true_size import BASES, TrueSize

from lora_checks.core.records import Sampler
from lora_checks.gate import expected

PIPELINES = {
    "SD 1.5": "StableDiffusionPipeline",
    "SDXL": "StableDiffusionXLPipeline",
    "FLUX.1": "FluxPipeline",
    "Qwen-Image": "QwenImagePipeline",
}
SAMPLERS = {
    "SD 1.5": Sampler(30, 7.5, 512, 512),
    "SDXL": Sampler(30, 7.0, 1024, 1024),
    "FLUX.1": Sampler(28, 3.5, 1024, 1024),
    "Qwen-Image": Sampler(40, None, 1024, 1024, true_cfg_scale=4.0),
}
CARDS = ("T4", "L4", "RTX 3090", "RTX 4090", "A100", "H100")
CHECKPOINTS, PROMPTS = 40, 32


def tflop(base: TrueSize) -> float:
    """Count a forward pass for one image, in 10^12 operations."""
    module = base.on("meta", torch.bfloat16, False)
    for table in ("pos_freqs", "neg_freqs"):  # Qwen-Image's are no buffers
        if hasattr(getattr(module, "pos_embed", None), table):
            setattr(module.pos_embed, table, getattr(module.pos_embed, table).to("meta"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(**base.inputs(module, 1, base.side))
    return counter.get_total_flops() / 1e12


def seconds(base: str, card: str) -> float:
    found = expected.seconds(PIPELINES[base], f"cuda NVIDIA {card}", SAMPLERS[base])
    assert found is not None
    return found


def tables() -> Iterator[str]:
    """Yield the lines of both tables: seconds of an image, and hours of a comparison of checkpoints."""
    for title, unit in (("seconds of an image", 1), (f"hours for {CHECKPOINTS} x {PROMPTS} images", 3600)):
        yield f"| {title} | " + " | ".join(CARDS) + " |"
        yield "|---|" + "---|" * len(CARDS)
        for base, sampler in SAMPLERS.items():
            count = 1 if unit == 1 else CHECKPOINTS * PROMPTS
            figures = (_rounded(seconds(base, card) * count / unit) for card in CARDS)
            yield f"| {base}, {sampler.steps} steps, {sampler.width} px | " + " | ".join(figures) + " |"
        yield ""


def _rounded(value: float) -> str:
    """Write two significant digits."""
    return f"{float(f'{value:.2g}'):g}"


def main() -> None:
    for base in BASES:
        known = expected.STEPS[PIPELINES[base.name]].tflop
        print(f"{base.name}: {tflop(base):.3g} TFLOP a step and image; the gate expects {known:.3g}")
    print(*tables(), sep="\n")


if __name__ == "__main__":
    main()
