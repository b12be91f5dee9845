"""How often the gate is right: the miniature's LoRAs, whose truth is known, on fresh seeds.

    python benchmarks/ladder.py [--sets 20] [--store DIR]

Resumable, and a second process with the same store shares the work. Prints, for each LoRA, in how many
sets of seeds it passed and which rows stopped it how often.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from lora_checks import config
from lora_checks.errors import LoraChecksError, LoraFileError
from lora_checks.lora_file import inspect
from lora_checks.records import Lora, Outcome
from lora_checks.store import Advance
from lora_checks.verdict import judge
from lora_checks.workbench import Workbench, open_workbench

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"
LADDER = ("good", "underfit", "overfit", "overcooked", "wrong-identity", "untrained")
FIRST_SEED = 1000  # far from the policy's own, on which its limits were set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", type=int, default=20)
    parser.add_argument("--store", type=Path, default=Path(".lora_checks"))
    parser.add_argument("--loras", nargs="*", default=LADDER)
    parser.add_argument("--values", type=Path, help="write every value here, one JSON line each")
    options = parser.parse_args()
    for name in options.loras:
        path = MINIATURE / "loras" / f"{name}.safetensors"
        print(row(name, gate(path, options.sets, options.store, options.values)), flush=True)


def gate(path: Path, sets: int, store: Path, values: Path | None) -> list[list[str]]:
    """For each set of seeds the rows that stopped the LoRA; an empty list is a pass."""
    try:
        lora = inspect(path, path.stem)
    except LoraFileError:
        return [["file"]] * sets
    return [stopped_by(lora, bench(i, store), i, values) for i in range(sets)]


def bench(index: int, store: Path) -> Workbench:
    policy = config.load_policy(MINIATURE)
    count = len(policy.prompts.seeds)
    seeds = tuple(range(FIRST_SEED + index * count, FIRST_SEED + (index + 1) * count))
    policy = dataclasses.replace(policy, prompts=dataclasses.replace(policy.prompts, seeds=seeds))
    return open_workbench(policy, store, "cpu", "float32", None, quiet)


def quiet(_what: str) -> Callable[[int], AbstractContextManager[Advance]]:
    return lambda _total: nullcontext(lambda _done: None)


def stopped_by(lora: Lora, workbench: Workbench, index: int, values: Path | None) -> list[str]:
    images = workbench.candidate(lora)
    stopped = []
    for threshold in workbench.policy.thresholds:
        try:
            found = workbench.measure_row(threshold, images)
            passed = judge(found, threshold, lora).outcome is Outcome.PASS
            line = {"lora": lora.name, "set": index, "check": threshold.name, "value": found.value}
        except LoraChecksError as error:
            passed = False
            line = {"lora": lora.name, "set": index, "check": threshold.name, "error": str(error)}
        if values:
            with values.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if not passed:
            stopped.append(threshold.name)
    return stopped


def row(name: str, outcomes: list[list[str]]) -> str:
    passes = sum(not rows for rows in outcomes)
    by = Counter(check for rows in outcomes for check in rows).most_common()
    return f"{name:16} passed {passes:2} of {len(outcomes)}   {', '.join(f'{c} {n}' for c, n in by)}"


if __name__ == "__main__":
    main()
