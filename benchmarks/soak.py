"""Run hundreds of gates on one store, two at a time, kill some of them, and look at what is left.

    taskset -c 0 nice python benchmarks/soak.py FOLDER [--gates 300] [--seed 1]

Every gate judges one of the miniature's LoRAs on eight prompts. Some ask for images that the store does not
have yet; one in twenty has two processes; a quarter is killed by SIGKILL at a random moment. Whatever was
killed is asked for again later. Every tenth gate is followed by the same gate on a store of its own that
nobody disturbs, which tells what the machine did to the times.

It prints what it found, writes it to FOLDER/soak.json, and exits with 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

MINIATURE = Path(__file__).parents[1] / "examples" / "miniature"
LORAS = ("good", "wrong-identity", "underfit")
SHIRTS = ("red", "blue", "green", "yellow", "purple", "orange", "white", "black")
EVERY = 10  # gates between two on the undisturbed store
LIMIT_SECONDS = 600.0
OF_LIBRARIES = ("torchinductor_*", "pytest-of-*", ".ses")  # made once in the folder for temporary files
WITHOUT = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
THRESHOLDS = f"""\
folders: {{references: {MINIATURE}/references}}
networks:
  arcface: {{pack: miniature, root: {MINIATURE}/evaluators/faces, det_size: 64}}
checks:
  faces: {{metric: arcface, stat: missing, max: 0.5, why: most images show a face}}
  identity: {{metric: arcface, max_missing: 0.5, min: 0.45, why: it is the person}}
"""
PROMPTS = """\
base: {{model: {pipeline}}}
sampler: {{steps: {steps}, guidance: 2.0, width: 64, height: 64}}
trigger: sks person
class_words: person
seeds: [{seed}]
prompts:
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """One gate of the soak, before it runs."""

    index: int
    setting: int  # which LoRA and which noise: the same setting asks for the same images
    kill: float | None = None  # when to kill it, in shares of what such a gate takes; None: never
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a gate."""

    plan: Plan
    fresh: bool  # no gate of this setting had ended when it began
    killed: bool
    code: int
    cpu: float  # seconds of its processes
    wall: float
    rows: dict[str, Any]  # check -> [outcome, value]
    out: str = ""  # what it printed, if its end was not expected


def plans(gates: int, seed: int, fresh: float = 0.04, kill: float = 0.25, pair: float = 0.05) -> list[Plan]:
    """Draw the gates: which images each asks for, and whether and when it is killed."""
    draw = random.Random(seed)
    drawn, known = [], 1
    for index in range(gates):
        new = index > 0 and draw.random() < fresh
        setting = known if new else draw.randrange(known)
        known += new
        when = draw.uniform(0, 1.1) if draw.random() < kill else None
        drawn.append(Plan(index, setting, when, 2 if draw.random() < pair else 1))
    return drawn


@dataclass
class Soak:
    """A folder with a store that many gates share, and one that is left alone."""

    folder: Path
    prompts: int = len(SHIRTS)
    steps: int = 4
    say: Callable[[str], None] = print
    done: list[Ran] = field(default_factory=list)
    control: list[Ran] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def run(self, gates: Sequence[Plan], at_once: int = 2) -> None:
        """Run the gates, then each setting once more without a kill."""
        self.control.append(self.gate(Plan(-1, 0), self.folder / "control"))
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(self._one, gates))
        self.round(gates)

    def round(self, gates: Sequence[Plan]) -> list[Ran]:
        """Run each setting once, by itself and undisturbed."""
        start = len(gates) + 1000
        settings = sorted({plan.setting for plan in gates})
        ran = [self.gate(Plan(start + setting, setting), self.store) for setting in settings]
        self.done += ran
        return ran

    def _one(self, plan: Plan) -> None:
        ran = self.gate(plan, self.store)
        with self._lock:
            self.done.append(ran)
            count = len(self.done)
        how = "killed" if ran.killed else f"ended with {ran.code}"
        self.say(f"{count}: gate {plan.index}, setting {plan.setting}, {how}, {ran.cpu:.1f} CPU s")
        if plan.index % EVERY == 0:
            self.control.append(self.gate(Plan(plan.index, 0), self.folder / "control"))

    def gate(self, plan: Plan, store: Path) -> Ran:
        """Run one gate in a process of its own, and kill that process if the plan says so."""
        fresh = not any(ran.plan.setting == plan.setting and not ran.killed for ran in list(self.done))
        report = self.folder / "reports" / f"{store.name}-{threading.get_ident()}"
        after = None if plan.kill is None else plan.kill * self._usual(fresh)
        environment = os.environ | {"TMPDIR": str(self._temporary()), "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
        began = time.perf_counter()
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                self._command(plan, store, report), cwd=self.folder, env=environment, stdout=out, stderr=out
            )
            killed = _kill_after(process, after)
            code, cpu = _waited(process)
            wall = time.perf_counter() - began
            out.seek(0)
            text = out.read().decode(errors="replace")
        killed = killed and code < 0
        rows = {} if killed else _rows(report)
        wrong = not killed and (code not in (0, 1) or "damaged" in text)
        return Ran(plan, fresh, killed, code, cpu, wall, rows, text if wrong else "")

    def _usual(self, fresh: bool) -> float:
        """Return the seconds that gates like this one took so far."""
        like = [ran.wall for ran in list(self.done) if ran.fresh == fresh and not ran.killed]
        return statistics.median(like) if like else self.control[0].wall

    def _command(self, plan: Plan, store: Path, report: Path) -> list[str]:
        lora = MINIATURE / "loras" / f"{LORAS[plan.setting % len(LORAS)]}.safetensors"
        options = {"": lora, "-policy": self._policy(plan), "-store": store, "-report": report}
        command = [sys.executable, "-m", "pytest", "-q", *WITHOUT]
        command += [f"--lora{name}={value}" for name, value in options.items()]
        return command + (["-n", str(plan.workers)] if plan.workers > 1 else [])

    def _policy(self, plan: Plan) -> Path:
        folder = self.folder / "policies" / str(plan.setting // len(LORAS))
        if not (folder / "prompts.yaml").exists():
            folder.mkdir(parents=True, exist_ok=True)
            head = PROMPTS.format(
                pipeline=MINIATURE / "pipeline", steps=self.steps, seed=1 + plan.setting // len(LORAS)
            )
            lines = [
                f"  - {{id: {shirt}, text: photo of a sks person in a {shirt} shirt}}\n"
                for shirt in SHIRTS[: self.prompts]
            ]
            (folder / "thresholds.yaml").write_text(THRESHOLDS)
            _publish(folder / "prompts.yaml", head + "".join(lines))
        return folder

    def _temporary(self) -> Path:
        folder = self.folder / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _publish(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}-{threading.get_ident()}")
    temporary.write_text(text)
    temporary.replace(path)


def _kill_after(process: subprocess.Popen[bytes], seconds: float | None) -> bool:
    """Kill the process if it is still there after so many seconds; return whether it was."""
    deadline = time.monotonic() + (LIMIT_SECONDS if seconds is None else seconds)
    while time.monotonic() < deadline:
        if os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return False
        time.sleep(0.01)
    process.kill()
    return True


def _waited(process: subprocess.Popen[bytes]) -> tuple[int, float]:
    """Return the exit status and the CPU seconds of the process and of those that it has waited for."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime


def _rows(report: Path) -> dict[str, Any]:
    try:
        document = json.loads((report / "report.json").read_text())
    except (OSError, ValueError):
        return {}
    rows = [row for lora in document["loras"] for row in lora["rows"]]
    return {row["check"]: [row["outcome"], (row["measurement"] or {}).get("value")] for row in rows}


# What is left


def findings(soak: Soak, gates: Sequence[Plan]) -> dict[str, list[str]]:
    """Return for each check what is wrong; an empty list if nothing is."""
    found = {
        "every gate that was not killed ended well": [
            f"gate {ran.plan.index} ended with {ran.code}: {ran.out[-2000:]}" for ran in soak.done if ran.out
        ],
        "the verdicts of a setting are the same": _other_verdicts(soak),
        "no image was made twice": [
            f"{image}: {times} times" for image, times in _made(soak.store).items() if times > 1
        ],
        "nothing is left over": [str(path) for path in _left_over(soak.folder)],
        "no process is left": _left_running(soak.store),
        "`store size` is what the files take": _other_size(soak.store),
    }
    return found | {"`store gc` leaves what is needed": _missed(soak, gates)}


def _other_verdicts(soak: Soak) -> list[str]:
    first: dict[int, dict[str, Any]] = {0: soak.control[0].rows}
    ended = [ran for ran in (*soak.control, *soak.done) if not ran.killed and not ran.out]
    return [
        f"gate {ran.plan.index}, setting {ran.plan.setting}: {ran.rows}, not {first[ran.plan.setting]}"
        for ran in ended
        if not ran.rows or first.setdefault(ran.plan.setting, ran.rows) != ran.rows
    ]


def _made(store: Path) -> Counter[str]:
    lines = (store / "made.jsonl").read_text().splitlines()
    return Counter(json.loads(line)["image"] for line in lines)


def _left_over(folder: Path) -> Iterator[Path]:
    """Yield locks, half-written files, and what is in the folder for temporary files."""
    for place in ("store", "control", "reports"):
        for path in sorted((folder / place).rglob("*")):
            if path.name.endswith((".part", ".lock")) or path.parent.name in ("locks", ".lock"):
                yield path
    for path in sorted((folder / "tmp").iterdir()):
        if not any(path.match(pattern) for pattern in OF_LIBRARIES):
            yield path


def _left_running(store: Path) -> list[str]:
    import psutil

    named = [p for p in psutil.process_iter(["pid", "cmdline"]) if p.info["pid"] != os.getpid()]
    return [str(p.info) for p in named if f"--lora-store={store}" in (p.info["cmdline"] or ())]


def _command(*arguments: object) -> str:
    command = [sys.executable, "-m", "lora_checks", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _other_size(store: Path) -> list[str]:
    from lora_checks.commands.store import human

    said = _command("store", "size", store).splitlines()[0].rpartition(": ")[2]
    files = [path for path in store.rglob("*") if not path.is_dir()]
    real = human(sum(path.lstat().st_size for path in files))
    return [] if said == real else [f"it says {said}, the {len(files)} files take {real}"]


def _missed(soak: Soak, gates: Sequence[Plan]) -> list[str]:
    """Collect garbage, run every setting again, and return what was made then."""

    def made() -> dict[str, int]:
        kinds = ("images", "arrays", "proofs", "settings", "preflight", "self_test")
        files = [path for kind in kinds for path in (soak.store / kind).rglob("*") if path.is_file()]
        return {str(path.relative_to(soak.store)): path.stat().st_mtime_ns for path in files}

    before = made()
    removed = _command("store", "gc", "--yes", soak.store).splitlines()
    soak.round(gates)
    return sorted(f"{name} ({removed[-1]})" for name, _ in set(made().items()) ^ set(before.items()))


# Whether it gets slower


def slope(times: Sequence[tuple[float, float]]) -> dict[str, float] | None:
    """Fit a line through (index, seconds); return seconds and slope per 100 gates, with a 95 % interval."""
    from lora_checks.stats.intervals import t_quantile

    count = len(times)
    if count < 3 or len({index for index, _ in times}) < 2:
        return None
    index, seconds = [x for x, _ in times], [y for _, y in times]
    fitted, start = statistics.linear_regression(index, seconds)
    spread = sum((x - statistics.fmean(index)) ** 2 for x in index)
    rest = sum((y - start - fitted * x) ** 2 for x, y in times) / (count - 2)
    half = t_quantile(0.975, count - 2) * (rest / spread) ** 0.5
    middle = statistics.median(seconds)
    return {
        "gates": count, "median seconds": middle,
        "slope per 100": 100 * fitted, "low": 100 * (fitted - half), "high": 100 * (fitted + half),
    }  # fmt: skip


def summary(soak: Soak, gates: Sequence[Plan]) -> dict[str, Any]:
    """Return counts, times and findings."""
    planned = [ran for ran in soak.done if ran.plan.index < len(gates)]
    repeats = [r for r in planned if not (r.fresh or r.killed or r.out or r.plan.workers > 1)]
    wrong = findings(soak, gates)
    return {
        "gates": len(planned),
        "killed": sum(ran.killed for ran in planned),
        "settings": len({plan.setting for plan in gates}),
        "images": len(_made(soak.store)),
        "CPU seconds of a repeat": slope([(r.plan.index, r.cpu) for r in repeats]),
        "of one on the undisturbed store": slope([(r.plan.index, r.cpu) for r in soak.control[1:]]),
        "wrong": {check: found for check, found in wrong.items() if found},
        "right": [check for check, found in wrong.items() if not found],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gates", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=len(SHIRTS))
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    folder = options.folder.absolute()
    for name in ("store", "control", "reports", "tmp", "policies"):
        shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    soak = Soak(folder, options.prompts, options.steps, lambda text: print(text, flush=True))
    gates = plans(options.gates, options.seed)
    soak.run(gates, options.at_once)
    result = summary(soak, gates)
    (folder / "gates.jsonl").write_text("".join(json.dumps(asdict(ran)) + "\n" for ran in soak.done))
    (folder / "soak.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
