"""Time a repeated run, with nothing changed, on a base of 4 GB against the miniature's own.

    taskset -c 0 python benchmarks/repeat.py FOLDER [--gb 4] [--repeats 5]

The large base is the miniature with a text encoder that knows more tokens. The prompts have none of them, so
both bases make the same pictures, and the runs differ in the bytes that their identity is made of. The first
run on each generates and is not timed; the later ones alternate. It prints CPU and wall seconds, the least of
each, and their ratio. FOLDER keeps the base and both stores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path

from safetensors.torch import load_file, save_file
from sweep import MINIATURE, Seconds, gate

EMBEDDING = "embeddings.token_embedding.weight"
GOOD = MINIATURE / "loras" / "good.safetensors"
SETTLED = 11  # seconds; the digest of a file that was written a moment ago is not kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gb", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    folder = options.folder.absolute()
    bases = {
        "miniature": MINIATURE / "pipeline",
        f"{options.gb:g} GB": enlarged(folder / f"base-{options.gb:g}", options.gb),
    }
    for name, base in bases.items():
        print(f"{name}: the first run, {run(folder, name, base)['wall']:.1f} s", flush=True)
    found: dict[str, list[Seconds]] = {name: [] for name in bases}
    for _ in range(options.repeats):
        for name, base in bases.items():
            found[name].append(run(folder, name, base))
    for unit in ("cpu", "wall"):
        small, large = (min(times[unit] for times in found[name]) for name in bases)
        ratio = f"{large:.2f} : {small:.2f} = {large / small:.2f}"
        print(f"{unit:4} seconds of a repeat, {' : '.join(reversed(bases))} {ratio}")


def run(folder: Path, name: str, base: Path) -> Seconds:
    return gate([GOOD], folder / f"store {name}", "--lora-base", str(base))


def enlarged(folder: Path, gigabytes: float) -> Path:
    """Write the miniature's pipeline with a text encoder of so many 10^9 bytes, unless it is there."""
    if (folder / "model_index.json").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(MINIATURE / "pipeline", folder, ignore=shutil.ignore_patterns("model_index.json"))
    weights, config = (folder / "text_encoder" / name for name in ("model.safetensors", "config.json"))
    tensors = load_file(weights)
    known = tensors[EMBEDDING]
    rows = max(len(known), int(gigabytes * 1e9 / known[0].nbytes))
    tensors[EMBEDDING] = known.new_zeros(rows, known.shape[1])
    tensors[EMBEDDING][: len(known)] = known
    save_file(tensors, weights, {"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"vocab_size": rows}))
    time.sleep(SETTLED)
    shutil.copy(MINIATURE / "pipeline" / "model_index.json", folder)  # last: now it is whole
    return folder


if __name__ == "__main__":
    main()
