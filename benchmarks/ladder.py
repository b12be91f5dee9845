"""Gate the miniature's LoRAs, whose quality is known, on fresh seeds, to see how often the gate is right.

    python benchmarks/ladder.py [--sets 20] [--first-seed 1000] [--store DIR] [NAME ...]

For each LoRA it prints in how many sets of seeds it passed, how often each row stopped it, and the range of
each row's value over the sets. The limits of the miniature's policy were set between such ranges, measured on
other seeds. It is resumable, and a second process with the same store shares the work.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from merges import MERGES, MINIATURE, file_of

from lora_checks.core.errors import LoraChecksError, LoraFileError
from lora_checks.core.records import ImageSet, Lora, Outcome, Threshold
from lora_checks.core.store import Advance
from lora_checks.gate.run import GateRun, open_generating
from lora_checks.judge.verdict import judge
from lora_checks.lora.file import inspect
from lora_checks.policy import reading

LADDER = ("good", "underfit", "overfit", "overcooked", "wrong-identity", "untrained", *MERGES)
Found = dict[str, tuple[bool, float | None]]  # check -> passed, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=LADDER)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--store", type=Path, default=Path(".lora_checks"))
    options = parser.parse_args()
    for name in options.names:
        path = file_of(name, options.store / "merges")
        print(summary(name, gate(path, options)), flush=True)


def gate(path: Path, options: argparse.Namespace) -> list[Found]:
    """Judge the LoRA on each set of seeds."""
    try:
        lora = inspect(path, path.stem)
    except LoraFileError:
        return [{"file": (False, None)}] * options.sets
    return [judged(lora, bench(options, index)) for index in range(options.sets)]


def bench(options: argparse.Namespace, index: int) -> GateRun:
    policy = reading.load_policy(MINIATURE)
    count = len(policy.prompts.seeds)
    first = options.first_seed + index * count
    prompts = dataclasses.replace(policy.prompts, seeds=tuple(range(first, first + count)))
    policy = dataclasses.replace(policy, prompts=prompts)
    return open_generating(policy, options.store, "cpu", "float32", None, quiet)


def quiet(_what: str) -> Callable[[int], AbstractContextManager[Advance]]:
    return lambda _total: nullcontext(lambda _done: None)


def judged(lora: Lora, gate_run: GateRun) -> Found:
    images = gate_run.candidate(lora)
    return {row.name: outcome(row, images, lora, gate_run) for row in gate_run.policy.thresholds}


def outcome(row: Threshold, images: ImageSet, lora: Lora, gate_run: GateRun) -> tuple[bool, float | None]:
    try:
        found = gate_run.measurer.measure_row(row, images)
    except LoraChecksError:
        return False, None
    return judge(found, row, lora).outcome is Outcome.PASS, found.value


def summary(name: str, sets: list[Found]) -> str:
    passes = sum(all(passed for passed, _ in found.values()) for found in sets)
    stopped = Counter(check for found in sets for check, (passed, _) in found.items() if not passed)
    lines = [
        f"{name:16} passed {passes:2} of {len(sets)}   {', '.join(f'{c} {n}' for c, n in stopped.items())}"
    ]
    for check in sets[0]:
        values = [found[check][1] for found in sets]
        numbers = [value for value in values if value is not None]
        if numbers:
            lines.append(f"    {check:18} {min(numbers):9.3f} to {max(numbers):9.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
