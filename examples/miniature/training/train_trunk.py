"""Train the miniature's perceptual trunk: a SqueezeNet inside `lpips`, on the attributes of drawings.

    python train_trunk.py train evaluate

LPIPS trunks are classifiers that were trained for something else; so is this one. It learns to name what a
drawing shows and how degraded it is; afterwards only its features are kept. The linear layers are uniform:
the baseline weighting of `lpips`, divided by the number of slices, so a distance is a mean over slices.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import lpips
import numpy as np
import numpy.typing as npt
import torch
from augment import Image, blur, drawing, jpeg, to_uint8
from common import MINIATURE, RUNS
from draw import EYE_RGB, Identity, Scene, sample_identity, sample_scene
from fit import fit
from labels import NAMES, labels
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

WEIGHTS = MINIATURE / "evaluators" / "trunk" / "trunk.safetensors"
STEPS = 1000
TRAIN_SEED, TEST_SEED = 21, 90021
MAX_BLUR, MAX_GRAIN = 2.5, 40.0


def frame() -> lpips.LPIPS:
    """Build `lpips.LPIPS` around an untrained SqueezeNet, with uniform linear layers."""
    model = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, pnet_tune=True, verbose=False)
    for lin in model.lins:
        nn.init.constant_(lin.model[-1].weight, 1 / len(model.lins)).requires_grad_(False)
    return model


def load_trunk(path: Path = WEIGHTS) -> lpips.LPIPS:
    model = frame()
    model.load_state_dict(load_file(path))
    return model.eval().requires_grad_(False)


def features(trunk: lpips.LPIPS, images: Tensor) -> Tensor:
    """(N, 3, 64, 64) in [-1, 1] -> (N, 512) for the Frechet distance: the spatial mean of the last slice."""
    return torch.as_tensor(trunk.net(trunk.scaling_layer(images)).relu7.mean(dim=(2, 3)))


class Student(nn.Module):
    """The trunk and its targets: classes, then numbers (skin colour, blur, grain)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = frame()
        self.classes = nn.ModuleDict({name: nn.Linear(512, len(v)) for name, v in NAMES.items()})
        self.eyes = nn.Linear(512, len(EYE_RGB))
        self.numbers = nn.Linear(512, 5)

    def loss(self, images: Tensor, shown: dict[str, Tensor], eyes: Tensor, numbers: Tensor) -> Tensor:
        seen = features(self.trunk, images)
        named = [F.cross_entropy(head(seen), shown[name]) for name, head in self.classes.items()]
        eye = F.cross_entropy(self.eyes(seen), eyes)
        return torch.stack(named).sum() + eye + 5 * F.mse_loss(self.numbers(seen), numbers)


def to_input(images: Sequence[Image]) -> Tensor:
    return torch.from_numpy(np.stack(images).astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).contiguous()


def degraded(image: Image, rng: np.random.Generator) -> tuple[Image, float, float]:
    """Return a picture with known blur and grain, and with untaught colour shift and blocks."""
    sigma = rng.uniform(0, MAX_BLUR) if rng.random() < 0.4 else 0.0
    grain = rng.uniform(0, MAX_GRAIN) if rng.random() < 0.4 else 0.0
    image = to_uint8(
        blur(image, sigma) * (1 + rng.normal(0, 0.03, 3)) + rng.normal(0, 1, image.shape) * grain
    )
    return (jpeg(image, int(rng.integers(60, 98))) if rng.random() < 0.2 else image), sigma, grain


def batch_loss(model: Student, rng: np.random.Generator, size: int = 64) -> Tensor:
    pairs = [(sample_identity(rng), sample_scene(rng)) for _ in range(size)]
    images, sigmas, grains = zip(*(degraded(drawing(*pair), rng) for pair in pairs), strict=True)
    shown = {name: torch.tensor([labels(*pair)[name] for pair in pairs]) for name in NAMES}
    eyes = torch.tensor([EYE_RGB.index(identity.eye_colour) for identity, _ in pairs])
    skin = np.array([identity.skin for identity, _ in pairs]) / 255
    numbers = np.column_stack([skin, np.array(sigmas) / MAX_BLUR, np.array(grains) / MAX_GRAIN]).astype(
        np.float32
    )
    return model.loss(to_input(images), shown, eyes, torch.from_numpy(numbers))


def train(runs: Path) -> None:
    torch.manual_seed(TRAIN_SEED)
    model = Student()
    fit(
        model,
        functools.partial(batch_loss, model),
        runs / "trunk.pt",
        steps=STEPS,
        rate=1e-3,
        seed=TRAIN_SEED,
    )
    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    # clone: lpips registers each linear layer under two names, and safetensors refuses shared storage
    state = {
        key: (tensor.half() if key.startswith("net.") else tensor).clone()
        for key, tensor in model.trunk.state_dict().items()
    }
    save_file(state, WEIGHTS, metadata={"net": "squeeze", "lins": "uniform", "features": "mean of slice 7"})


Pair = tuple[Identity, Scene]
Change = Callable[[Image, Pair, np.random.Generator], Image]


def _blurred(sigma: float) -> Change:
    return lambda image, _, __: blur(image, sigma)


def _grainy(sigma: float) -> Change:
    return lambda image, _, rng: to_uint8(image + rng.normal(0, sigma, image.shape))


def _shifted(pixels: int) -> Change:
    return lambda image, _, __: np.roll(image, pixels, axis=1)


ORDERED = ("blur, sigma", "grain, sigma", "shift, px")
LADDERS: dict[str, dict[str, Change]] = {
    "blur, sigma": {str(s): _blurred(s) for s in (0.3, 0.5, 0.8, 1.2, 2.0, 3.0)},
    "grain, sigma": {str(s): _grainy(s) for s in (1, 3, 6, 12, 25, 50)},
    "shift, px": {str(s): _shifted(s) for s in (1, 2, 4, 8, 16)},
    "other picture": {
        "same person": lambda _, pair, r: drawing(pair[0], sample_scene(r)),
        "same scene": lambda _, pair, r: drawing(sample_identity(r), pair[1]),
        "both other": lambda _, __, r: drawing(sample_identity(r), sample_scene(r)),
    },
}


@torch.inference_mode()
def evaluate(n: int = 300) -> dict[str, object]:
    trunk, rng = load_trunk(), np.random.default_rng(TEST_SEED)
    pairs = [(sample_identity(rng), sample_scene(rng)) for _ in range(n)]
    images = [drawing(*pair) for pair in pairs]
    report: dict[str, object] = {}
    for ladder, steps in LADDERS.items():
        changed = {
            step: [change(x, p, rng) for x, p in zip(images, pairs, strict=True)]
            for step, change in steps.items()
        }
        distances = np.stack(
            [trunk(to_input(images), to_input(c)).flatten().numpy() for c in changed.values()]
        )
        report[ladder] = dict(zip(steps, distances.mean(axis=1).astype(float).round(4).tolist(), strict=True))
        if ladder in ORDERED:
            rising = (np.diff(distances, axis=0) > 0).all(axis=0)
            report[f"{ladder}: rises at every step for"] = float(rising.mean())
    return report | {"Frechet": _frechet_ladder(trunk, rng)}


def _frechet_ladder(trunk: lpips.LPIPS, rng: np.random.Generator, n: int = 1000) -> dict[str, float]:
    reference, fresh = (
        [drawing(sample_identity(rng), sample_scene(rng)) for _ in range(n)] for _ in range(2)
    )
    one = sample_identity(rng)
    others = {
        "other drawings": fresh,
        "blur 0.5": [blur(x, 0.5) for x in fresh],
        "blur 1": [blur(x, 1.0) for x in fresh],
        "blur 2": [blur(x, 2.0) for x in fresh],
        "grain 12": [to_uint8(x + rng.normal(0, 12, x.shape)) for x in fresh],
        "grain 25": [to_uint8(x + rng.normal(0, 25, x.shape)) for x in fresh],
        "one person": [drawing(one, sample_scene(rng)) for _ in range(n)],
    }
    base = features(trunk, to_input(reference)).numpy()
    return {name: round(frechet(base, features(trunk, to_input(x)).numpy()), 4) for name, x in others.items()}


def frechet(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> float:
    """Return the distance of Gaussians fitted to (N, D); Tr sqrt(S1 S2) is a nuclear norm of centred rows."""
    x64, y64 = x.astype(np.float64), y.astype(np.float64)
    cx, cy = x64 - x64.mean(axis=0), y64 - y64.mean(axis=0)
    cross = np.linalg.norm(cx @ cy.T, "nuc") / np.sqrt((len(x) - 1) * (len(y) - 1))
    spread = (cx**2).sum() / (len(x) - 1) + (cy**2).sum() / (len(y) - 1)
    return float(((x64.mean(axis=0) - y64.mean(axis=0)) ** 2).sum() + spread - 2 * cross)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
