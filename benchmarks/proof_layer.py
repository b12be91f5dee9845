"""One layer of a plain LoRA in the proof: through its factors, and by rows of the weight's change.

python benchmarks/proof_layer.py [--rows 3072] [--columns 12288] [--rank 16]

Both give the effect on the proof's 16 rows of input, in one process and turn about; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch

from lora_checks.core.records import LoraLayer
from lora_checks.diffusion.proof import formulas
from lora_checks.diffusion.proof.layers import ROWS, through
from lora_checks.diffusion.proof.module import operate, output_like


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, value in (("rows", 3072), ("columns", 12288), ("rank", 16)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tensors = {
        "down": torch.randn(asked.rank, asked.columns).bfloat16(),
        "up": torch.randn(asked.rows, asked.rank).bfloat16(),
    }
    layer = LoraLayer("layer", "unet", ("layer",), "", {name: name for name in tensors}, asked.rank, 0.5)
    with torch.device("meta"):
        base = torch.nn.Linear(asked.columns, asked.rows, bias=False)
    weight = torch.zeros(()).expand(asked.rows, asked.columns)
    x = torch.randn(2 * ROWS, asked.columns, dtype=torch.float64)

    def by_factors() -> Any:
        factors = formulas.factors(layer, tensors, weight)
        assert factors is not None
        return through(base, layer.scaling * factors.up, factors, x)

    def by_rows() -> Any:
        effect = output_like(base, x)
        for at, change in formulas.weight_changes(layer, tensors, weight):
            effect[:, at] = operate(base, change.double(), x)
        return effect

    spent = {"factors": list[float](), "rows": list[float]()}
    for _ in range(3):
        spent["factors"].append(seconds(by_factors))
        spent["rows"].append(seconds(by_rows))
    one, other = by_factors(), by_rows()
    best = {name: min(times) for name, times in spent.items()}
    print(f"{asked.rows} x {asked.columns}, rank {asked.rank}: by rows {best['rows']:.3f} s of CPU,", end=" ")
    print(f"through factors {best['factors']:.4f} s, ratio {best['rows'] / best['factors']:.0f};", end=" ")
    print(f"apart by {float((one - other).norm() / one.norm()):.0e} of the effect")


def seconds(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
