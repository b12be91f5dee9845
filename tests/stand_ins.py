"""Programs that are not here (srun, ssh, ray), replaced on PATH by one that records how it was called."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = ("RAY_", "LORA")  # of the environment of a call
PROGRAM = f"""\
#!{sys.executable} -S
import json, os, signal, subprocess, sys, time
name = os.path.basename(sys.argv[0])
def record(**more):
    kept = {{key: value for key, value in os.environ.items() if key.startswith({KEPT!r})}}
    with open(os.environ["CALLS"], "a") as file:
        file.write(json.dumps(dict(name=name, argv=sys.argv[1:], env=kept, **more)) + "\\n")
def end(signal, frame):
    record(ended=True)
    os._exit(0)
if name == "sleep" and sys.argv[1] != "infinity":
    sys.exit()
signal.signal(signal.SIGTERM, end)
if name != "sleep":
    record()
answers = json.loads(os.environ["ANSWERS"])
if name in answers:
    print(answers[name], flush=True)
if name == "ssh":  # its other end, without this shell's variables
    clean = {{k: v for k, v in os.environ.items() if not k.startswith({KEPT!r})}}
    sys.exit(subprocess.run(["bash", "-c", sys.argv[-1]], env=clean).returncode)
if name == "srun" and "hostname" in sys.argv:
    print(answers["hostname"], flush=True)
elif name == "sleep" or "--block" in sys.argv:
    time.sleep(60)
if name == "pytest":  # the gate begins when those that it waits for have started
    deadline = time.monotonic() + 30
    while open(os.environ["CALLS"]).read().count('"--block"') < int(os.environ.get("STARTED", "0")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
if name == "ray" and sys.argv[1] == "status":  # the head is up when it is asked a second time
    seen = open(os.environ["CALLS"]).read().count('"status"')
    sys.exit(0 if seen > 1 else 1)
sys.exit(int(os.environ.get(name.upper() + "_STATUS", "0")))
"""


@dataclass(frozen=True)
class Call:
    """One call of a stand-in."""

    name: str
    argv: list[str]
    env: dict[str, str]
    ended: bool = False  # it was told to end, and did

    def option(self, name: str) -> str:
        """Return the value of ``--name VALUE`` or ``--name=VALUE``."""
        for i, part in enumerate(self.argv):
            if part == name:
                return self.argv[i + 1]
            if part.startswith(f"{name}="):
                return part.removeprefix(f"{name}=")
        raise AssertionError(f"{self.name} has no {name}: {self.argv}")


@dataclass
class StandIns:
    """A folder of stand-ins, first on PATH, and what they were called with."""

    folder: Path
    answers: dict[str, str] = field(default_factory=dict)  # program -> what it prints

    def add(self, *names: str) -> None:
        """Put stand-ins of these names on PATH."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / ".program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        for name in names:
            (self.folder / name).symlink_to(program)

    def run(self, script: Path | str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a script, or the text of one, under bash."""
        own = {"PATH": f"{self.folder}:{os.environ['PATH']}", "HOME": str(folder)}
        own |= {"CALLS": str(self.folder / ".calls"), "ANSWERS": json.dumps(self.answers)}
        command = ["bash", str(script)] if isinstance(script, Path) else ["bash", "-c", script]
        return subprocess.run(
            command, cwd=folder, env=own | env, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def calls(self) -> list[Call]:
        """Every call, in order."""
        path = self.folder / ".calls"
        lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        return [Call(**line) for line in lines]

    def of(self, name: str, *words: str) -> list[Call]:
        """Return the calls of one program whose arguments have all of these words."""
        return [
            call
            for call in self.calls
            if call.name == name and not call.ended and all(word in call.argv for word in words)
        ]
