"""Time gating twelve checkpoints of one training run: in one run, and in twelve runs of one each.

    taskset -c 0 python benchmarks/sweep.py FOLDER [--workers 2]

It trains the run first if it is not in FOLDER (examples/miniature/training/train_sweep.py, 4 minutes), then
gates it in one run with an empty store; then each checkpoint by itself, with an empty store each, as CI jobs
do, and with one store for all, as on one machine. It prints CPU and wall seconds of each way, their ratios,
the curves, and the chosen checkpoint. What is already in FOLDER is not repeated. ``--workers N`` times one
run with N processes instead.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.words import number
from lora_checks.record.ranking import rank
from lora_checks.report import leaderboard

ROOT = Path(__file__).parents[1]
MINIATURE = ROOT / "examples" / "miniature"
Seconds = dict[str, float]  # "cpu" and "wall"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    folder = options.folder.absolute()
    trainer = MINIATURE / "training" / "train_sweep.py"
    subprocess.run([sys.executable, str(trainer), str(folder)], check=True, cwd=trainer.parent)
    if options.workers:
        print_workers(folder, options.workers)
        return
    files = sorted(folder.glob("*.safetensors"))
    times = Times(folder / "times.json")
    together = times.of("one run", lambda: gate([folder], fresh(folder / "together")))
    print_curves(json.loads((folder / "together" / "report" / "report.json").read_text()))
    apart = [times.of(f"{f.stem}, own store", lambda f=f: gate([f], fresh(folder / "alone"))) for f in files]
    shared = folder / "shared"
    if not times.has(f"{files[0].stem}, one store"):
        fresh(shared)
    kept = [times.of(f"{f.stem}, one store", lambda f=f: gate([f], shared)) for f in files]
    for name, found in (("an empty store each", apart), ("one store for all", kept)):
        for unit in ("cpu", "wall"):
            single = sum(one[unit] for one in found)
            ratio = f"{together[unit]:.0f} : {single:.0f} = {together[unit] / single:.2f}"
            print(f"{unit:4} seconds, one run : {len(files)} runs with {name}: {ratio}")


class Times:
    """Keep seconds by name in a file, so that an interrupted benchmark can continue."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Seconds] = json.loads(path.read_text()) if path.exists() else {}

    def has(self, name: str) -> bool:
        return name in self.found

    def of(self, name: str, measure: Any) -> Seconds:
        if name not in self.found:
            self.found[name] = measure()
            self.path.write_text(json.dumps(self.found, indent=1))
            print(
                f"{name}: {self.found[name]['cpu']:.1f} CPU s, {self.found[name]['wall']:.1f} s", flush=True
            )
        return self.found[name]


def fresh(store: Path) -> Path:
    shutil.rmtree(store, ignore_errors=True)
    return store


def gate(loras: Sequence[Path], store: Path, *more: str) -> Seconds:
    """Run the gate in a process of its own; any verdict counts as a finished run."""
    wanted = [part for lora in loras for part in ("--lora", str(lora))]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--lora-policy",
        str(MINIATURE),
    ]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *wanted, "--lora-store", str(store), *more], cwd=ROOT, env=environment, capture_output=True
    )
    if done.returncode not in (0, 1):
        sys.exit(f"the gate ended with {done.returncode}:\n{done.stdout.decode()}{done.stderr.decode()}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": time.perf_counter() - began}


def print_workers(folder: Path, workers: int) -> None:
    """Compare the gate's way of sharing LoRAs among processes with pytest-xdist's way of spreading tests."""
    for dist in ([], ["--dist", "load"]):
        found = gate([folder], fresh(folder / "workers"), "-n", str(workers), *dist)
        print(f"-n {workers} {' '.join(dist):12} {found['wall']:.0f} s, {found['cpu']:.0f} CPU s", flush=True)


def print_curves(document: dict[str, Any]) -> None:
    ranking = rank(document)  # the run may have been made by an earlier version
    assert ranking is not None
    curves = {curve["check"]: curve["series"][0]["points"] for curve in ranking["curves"]}
    print(f"{ranking['axis']:>6}  " + "  ".join(f"{check:>16}" for check in curves))
    steps = sorted({point["x"] for points in curves.values() for point in points})
    for step in steps:
        cells = [next((p for p in points if p["x"] == step), None) for points in curves.values()]
        texts = [shown(cell) for cell in cells]
        print(f"{step:6}  " + "  ".join(f"{text:>16}" for text in texts))
    print()
    for cells in (leaderboard.headings(ranking)[:-1], *leaderboard.cells(ranking, document["loras"])):
        print("  ".join(f"{cell:>24}" for cell in cells))
    print("\n".join(["", *leaderboard.sentences(ranking), ""]), flush=True)


def shown(point: dict[str, Any] | None) -> str:
    if point is None:
        return "-"
    return number(point["value"]) + ("" if point["outcome"] == "PASS" else f" {point['outcome']}")


if __name__ == "__main__":
    main()
