"""Reports with real pictures, logged by the command in a process of its own whose connections are watched."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from report_world import document, verdicts, whole
from world import environment

from lora_checks.core.files import file_sha256
from lora_checks.record import document as report
from lora_checks.report import markdown

CHECKS = ("identity", "drift", "prompt adherence")
PROMPTS = [
    {"id": "green-shirt", "text": "photo of a sks person in a green shirt", "tags": []},
    {"id": "red-shirt", "text": "photo of a sks person in a red shirt", "tags": []},
]
WATCHED = """
import json, os, sys

def watch(event, arguments):
    host = None
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    if isinstance(host, bytes):
        host = host.decode()
    if host not in (None, "", "localhost", "::1") and not host.startswith("127."):
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{event} {host}\\n")

sys.addaudithook(watch)
from lora_checks.__main__ import main

sys.exit(main(sys.argv[1:]))
"""


@dataclass(frozen=True)
class Logged:
    """What the command said, and what its process connected to beyond this machine."""

    code: int
    out: str
    err: str
    contacts: list[str]


def picture(folder: Path, name: str, colour: tuple[int, int, int]) -> dict[str, Any]:
    """A picture of a report, in a PNG of one colour, and the same without the LoRA in black."""
    files = []
    for kind, fill in (("lora", colour), ("base", (0, 0, 0))):
        files.append(folder / f"{kind}-{colour[0]}-{name.replace('/', '_')}.png")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (32, 24), fill).save(files[-1])
    prompt, _, seed = name.rpartition("/")
    digests = [file_sha256(file) for file in files]
    base = {"sha256": digests[1], "file": str(files[1])}
    about = {"name": name, "prompt": prompt, "seed": int(seed), "recipe": "", "base": base}
    return about | {"sha256": digests[0], "file": str(files[0])}


def pictured(
    folder: Path, names: Sequence[str] = ("person",), checks: Sequence[str] = CHECKS, **run: Any
) -> dict[str, Any]:
    """A report of LoRAs of these names, each with three pictures; only "green-shirt/0" has values."""
    loras = [
        {
            "name": name,
            "path": f"/home/alice/runs/{name}.safetensors",
            "sha256": f"{i}c1e" * 16,
            "scale": 1.0,
            "ranks": [4],
            "facts": {},
            "pictures": [
                picture(folder / "store", spot, (i + 1, 100 * at, 50))
                for at, spot in enumerate(("green-shirt/0", "green-shirt/1", "red-shirt/0"))
            ],
        }
        for i, name in enumerate(names)
    ]
    facts = {
        "prompts": PROMPTS,
        "trigger": "sks person",
        "hardware": "cpu",
        "dtype": "float32",
        "versions": ["torch 2.14.1", "diffusers 0.42.1"],
        "command": "pytest --policy /home/alice/policies/person --lora /home/alice/runs --store /data -q",
        "loras": loras,
    }
    return document(*(verdicts(name, tuple(checks)) for name in names), **(facts | run))


def written(found: dict[str, Any], folder: Path) -> Path:
    found = found | {"run": whole(found["run"])}
    report.write(found, folder)
    (folder / "report.md").write_text(markdown.render(found), encoding="utf-8")
    return folder


def log(folder: Path, to: str, **env: str) -> Logged:
    """``python -m lora_checks log``, as a user's shell would, in the folder of the report."""
    seen = folder / "contacts"
    clean = environment({"HOME": str(folder), "SEEN": str(seen)} | env)
    for name in ("CI", "GITHUB_ACTIONS", "DO_NOT_TRACK"):  # clients are quieter there than on a desk
        clean.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "log", str(folder), "--to", to],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    contacts = seen.read_text().splitlines() if seen.exists() else []
    return Logged(done.returncode, done.stdout, done.stderr, contacts)


def same_bytes(file: Path, document_folder: Path) -> bool:
    return file.read_bytes() == (document_folder / "report.json").read_bytes()
