"""Time every set metric on stored features: 64 + 64 images, 2,048 dimensions, 16 prompts, one core.

python benchmarks/set_metrics.py [--quick]

Ours run with their intervals, which is 17 times over: once with all prompts and once without each. The
reference implementations run once, without an interval. Those that are not installed (prdc, clean-fid,
vendi-score) are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from importlib.util import find_spec

from metric_peers import say  # first: it fixes the threads

# isort: split
import numpy as np
from scipy import linalg

from lora_checks import metrics
from lora_checks.metrics.vectors import unit
from lora_checks.stats import intervals

Both = Callable[[np.ndarray, np.ndarray], object]
PROMPTS = 16


def sqrtm(x: np.ndarray, y: np.ndarray) -> float:
    """Compute pytorch-fid's ``calculate_frechet_distance``, starting from the features."""
    sx, sy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    difference = x.mean(0) - y.mean(0)
    return float(difference @ difference + np.trace(sx + sy) - 2 * np.trace(np.real(linalg.sqrtm(sx @ sy))))


def references() -> dict[str, Both]:
    """Return the functions that a user would call, by the first metric that each one gives."""
    found: dict[str, Both] = {"fid": sqrtm}
    if find_spec("cleanfid"):
        from cleanfid.fid import kernel_distance

        found["kid"] = lambda x, y: kernel_distance(x, y, num_subsets=100)  # its default
    if find_spec("prdc"):
        from prdc import compute_prdc

        found["precision"] = lambda x, y: compute_prdc(y, x, nearest_k=5)  # and the other three
    if find_spec("vendi_score"):
        from vendi_score import vendi

        found["vendi"] = lambda x, _: vendi.score(list(unit(x)), lambda a, b: float(a @ b))
    return found


def with_interval(name: str, x: np.ndarray, y: np.ndarray) -> None:
    metric = metrics.get(name)
    others = () if metric.against == "nothing" else (y,)
    groups = [str(i % PROMPTS) for i in range(len(x))]
    intervals.jackknife(lambda keep: metric.fn(x[keep], *others), groups)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):  # prdc prints
        work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="256 dimensions")
    dimensions = 256 if parser.parse_args().quick else 2048
    rng = np.random.default_rng(0)
    x, y = (rng.gamma(1, 0.4, (64, dimensions)).astype(np.float32) for _ in range(2))
    names = [name for name in metrics.BUILTIN if metrics.get(name).per == "set"]
    np.linalg.eigvalsh(np.eye(64))  # neither side pays for the first call
    mine = {name: seconds(lambda name=name: with_interval(name, x, y)) for name in names}  # type: ignore[misc]
    say(f"metrics of sets on 64 + 64 stored features of {dimensions} dimensions, one core")
    for name, theirs in references().items():
        seconds(lambda theirs=theirs: theirs(x[:8], y[:8]))  # type: ignore[misc]
        once = seconds(lambda theirs=theirs: theirs(x, y))  # type: ignore[misc]
        say(
            f"  {name:10} reference {once:8.4f} s   ours, with interval {mine[name]:7.4f} s"
            f"   {once / mine[name]:8.1f}x"
        )
    say(f"  all {len(names)}, each with its interval: {sum(mine.values()):.2f} s")


if __name__ == "__main__":
    main()
