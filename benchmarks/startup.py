"""Time what the installed plugin costs an unrelated pytest run, pair by pair.

python benchmarks/startup.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(arguments: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def compare(arguments: list[str], folder: Path, pairs: int) -> None:
    without = [*arguments, "-p", "no:lora_checks.plugin"]
    seconds(arguments, folder), seconds(without, folder)  # warm the disk cache
    found = [(seconds(arguments, folder), seconds(without, folder)) for _ in range(pairs)]
    more = statistics.median(a - b for a, b in found) * 1000
    base = statistics.median(b for _, b in found) * 1000
    print(f"pytest {' '.join(arguments):8} without the plugin {base:5.0f} ms, with it {more:+5.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_other.py").write_text("def test_other():\n    assert True\n")
        for arguments in (["--help"], ["-q"]):
            compare(arguments, folder, options.pairs)


if __name__ == "__main__":
    main()
