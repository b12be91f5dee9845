"""Merge two LoRAs, such as half of a good one and half of a bad one, which a gate has to stop.

    python benchmarks/merges.py FIRST SECOND OUT [--share 0.5]

The resulting file contains the ranks of both LoRAs, so its effect on the base is exactly ``share`` times the
effect of the first plus ``1 - share`` times that of the second.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"
GOOD, BAD = "good", ("underfit", "overfit", "overcooked", "wrong-identity")
MERGES = tuple(f"{GOOD}+{bad}" for bad in BAD)  # half of each
DOWN, UP = ".lora_A.weight", ".lora_B.weight"


def file_of(name: str, folder: Path) -> Path:
    """Return the miniature's LoRA of that name; a merge, "good+overfit", is made in ``folder``."""
    paths = [MINIATURE / "loras" / f"{part}.safetensors" for part in name.split("+")]
    return paths[0] if len(paths) == 1 else merge(paths[0], paths[1], folder / f"{name}.safetensors")


def merge(first: Path, second: Path, out: Path, share: float = 0.5) -> Path:
    """Write ``share`` of ``first`` plus ``1 - share`` of ``second`` to ``out`` and return it.

    Both must be like the miniature's LoRAs: diffusers' names, alpha equal to the rank, the same layers. Equal
    inputs give equal bytes.
    """
    one, other = load_file(first), load_file(second)
    if one.keys() != other.keys():
        raise ValueError(f"{first} and {second} are not on the same layers")
    merged = {name: _joined(name, one[name], other[name], share) for name in one}
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(merged, out, metadata={"format": "pt"})
    return out


def _joined(name: str, one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    if name.endswith(DOWN):
        return np.concatenate([one, other], axis=0)
    if name.endswith(UP):
        return np.concatenate([one * one.dtype.type(share), other * other.dtype.type(1 - share)], axis=1)
    raise ValueError(f"{name} is neither {DOWN} nor {UP}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.5)
    options = parser.parse_args()
    print(merge(options.first, options.second, options.out, options.share))


if __name__ == "__main__":
    main()
