"""Train the probes on drawings and measure them on drawings of other persons.

python train_probes.py train evaluate
"""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from augment import Image, degrade, drawing
from common import RUNS
from draw import sample_identity, sample_scene
from fit import fit
from labels import NAMES, NOT_VISIBLE, labels
from probes import WEIGHTS, Probes, load_probes, to_input
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

STEPS = 600
TRAIN_SEED, TEST_SEED = 31, 90031


def sample(rng: np.random.Generator) -> tuple[Image, dict[str, int]]:
    identity, scene = sample_identity(rng), sample_scene(rng)
    return drawing(identity, scene), labels(identity, scene)


def batch_loss(model: Probes, rng: np.random.Generator, size: int = 64) -> Tensor:
    pairs = [sample(rng) for _ in range(size)]
    images = np.stack([degrade(image, rng, strength=rng.uniform(0.5, 1.8)) for image, _ in pairs])
    logits = model(to_input(images))
    wanted = {name: torch.tensor([shown[name] for _, shown in pairs]) for name in NAMES}
    return torch.stack([F.cross_entropy(logits[name], wanted[name]) for name in NAMES]).sum()


def train(runs: Path) -> None:
    torch.manual_seed(TRAIN_SEED)
    model = Probes(NAMES)
    fit(
        model,
        functools.partial(batch_loss, model),
        runs / "probes.pt",
        steps=STEPS,
        rate=2e-3,
        seed=TRAIN_SEED,
    )
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    state = {key: t.half() if t.is_floating_point() else t for key, t in model.state_dict().items()}
    save_file(state, WEIGHTS, metadata={"names": json.dumps(NAMES)})


def evaluate(n: int = 2000) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(TEST_SEED)
    images, shown = zip(*(sample(rng) for _ in range(n)), strict=True)
    wanted = {name: np.array([s[name] for s in shown]) for name in NAMES}
    degraded = [degrade(image, rng, strength=1.5) for image in images]
    return {
        "drawings": _accuracy(np.stack(images), wanted),
        "degraded drawings": _accuracy(np.stack(degraded), wanted),
    }


def _accuracy(images: npt.NDArray[np.uint8], wanted: dict[str, npt.NDArray[np.int64]]) -> dict[str, float]:
    told = load_probes().predict(images)
    visible = {name: wanted[name] != NOT_VISIBLE for name in NAMES}
    return {name: float((told[name] == wanted[name])[visible[name]].mean()) for name in NAMES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stages", nargs="+", choices=("train", "evaluate"))
    parser.add_argument("--runs", type=Path, default=RUNS, help="checkpoints, to resume from")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if "train" in args.stages:
        train(args.runs)
    if "evaluate" in args.stages:
        print(json.dumps(evaluate(), indent=2))


if __name__ == "__main__":
    main()
