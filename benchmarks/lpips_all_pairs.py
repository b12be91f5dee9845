"""Time LPIPS (alex) of every picture to every other: ours against ``lpips`` pair by pair, on one core.

python benchmarks/lpips_all_pairs.py [--count 20] [--size 512] [--quick]
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from pathlib import Path

from metric_peers import alex_file, in_range, picture, say, their_lpips  # first: it fixes the threads

# isort: split

import numpy as np
import torch

from lora_checks.networks.lpips import Lpips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--quick", action="store_true", help="6 pictures of 256 pixels")
    options = parser.parse_args()
    count, size = (6, 256) if options.quick else (options.count, options.size)
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    x = [picture(rng, size) for _ in range(count)]
    y = [x[0], *(picture(rng, size) for _ in range(count - 1))]  # one pair is the same picture twice
    with tempfile.TemporaryDirectory() as name:
        file = alex_file(Path(name))
        peer, ours = their_lpips(file), Lpips({"net": "alex", "trunk_file": str(file)}, "cpu")
        with torch.inference_mode():
            peer(in_range(x[0]), in_range(y[0]))
        ours.paired(x[:1], y[:1])  # load both before the clock starts

        start = time.perf_counter()
        with torch.inference_mode():
            expected = np.array([[float(peer(in_range(a), in_range(b))) for b in y] for a in x])
        theirs = time.perf_counter() - start
        start = time.perf_counter()
        found = ours.distances(x, y)
        mine = time.perf_counter() - start
    say(f"LPIPS alex, {count} x {count} pairs at {size} x {size}, one core")
    say(f"  lpips, pair by pair {theirs:7.1f} s")
    say(f"  lora_checks         {mine:7.1f} s   {theirs / mine:.1f} times faster")
    say(f"  largest difference  {np.abs(found - expected).max():.1e}   of up to {expected.max():.2f}")


if __name__ == "__main__":
    main()
