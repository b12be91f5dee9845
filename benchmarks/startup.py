"""Measure what the installed plugin costs an unrelated pytest run, in CPU time: the least of many pairs.

Bytecode is cached, as it is for a package that pip has installed.

python benchmarks/startup.py [--pairs 15]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path


def seconds(arguments: list[str], folder: Path) -> float:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = spent()
    command = [sys.executable, "-m", "pytest", *arguments]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    return spent() - before


def spent() -> float:
    """Return the CPU seconds of all processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(arguments: list[str], folder: Path, pairs: int) -> None:
    without = [*arguments, "-p", "no:lora_checks.plugin"]
    seconds(arguments, folder), seconds(without, folder)  # write the bytecode
    found = [(seconds(arguments, folder), seconds(without, folder)) for _ in range(pairs)]
    least, base = (1000 * min(times) for times in zip(*found, strict=True))  # whatever else runs only adds
    name = f"pytest {' '.join(arguments):8}"
    print(f"{name} without the plugin {base:5.1f} ms, with it {least - base:+5.1f} ms")


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
