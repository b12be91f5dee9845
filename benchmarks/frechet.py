"""Time the Frechet distance of 50 features of 2048 dimensions: ours against scipy's matrix square root.

python benchmarks/frechet.py [--quick]
"""

from __future__ import annotations

import argparse
import time

from metric_peers import say  # first: it fixes the threads

# isort: split

import numpy as np
from scipy import linalg

from lora_checks.core.errors import MeasureError
from lora_checks.metrics.distribution import frechet


def with_sqrtm(x: np.ndarray, y: np.ndarray) -> float:
    """Compute pytorch-fid's ``calculate_frechet_distance``, starting from the features."""
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.real(linalg.sqrtm(sx @ sy))
    difference = x.mean(0) - y.mean(0)
    return float(difference @ difference + np.trace(sx) + np.trace(sy) - 2 * np.trace(root))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="512 dimensions")
    dimensions = 512 if parser.parse_args().quick else 2048
    rng = np.random.default_rng(0)
    spectrum = 1 / np.arange(1, dimensions + 1) ** 0.5
    x, y = rng.normal(size=(50, dimensions)) * spectrum, 0.02 + rng.normal(size=(50, dimensions)) * spectrum

    start = time.perf_counter()
    expected = with_sqrtm(x, y)
    theirs = time.perf_counter() - start
    frechet(x, y)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        found = frechet(x, y)
        times.append(time.perf_counter() - start)
    mine = float(np.median(times))
    say(f"Frechet distance, 50 and 50 features of {dimensions} dimensions, one core")
    say(f"  scipy.linalg.sqrtm {theirs:8.3f} s")
    say(f"  lora_checks        {mine:8.4f} s   {theirs / mine:.0f} times faster")
    say(f"  relative difference {abs(found - expected) / expected:.1e}")
    x[3, 5] = np.nan
    start = time.perf_counter()
    try:
        frechet(x, y)
    except MeasureError as error:
        say(f"  with a NaN feature {time.perf_counter() - start:8.4f} s   {error}")


if __name__ == "__main__":
    main()
