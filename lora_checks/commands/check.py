"""``check``: say in one go what a run lacks, and what it would cost."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import asdict
from pathlib import Path

from lora_checks.commands import shared
from lora_checks.commands.fetch import missing_of

HELP = "say in one go what a run lacks, how many images it makes, and how long that takes"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    shared.add_policy(parser)
    add("--lora", action="append", default=[], metavar="FILE", help="LoRA files, folders of them or patterns")
    shared.add_base(parser)
    shared.add_device(parser)
    add("--dtype", "--lora-dtype", default="auto", help="number format of the pipeline (default: auto)")
    ways = "auto, none, model, group or sequential (default: auto)"
    add("--offload", "--lora-offload", default="auto", help=ways)
    shared.add_store(parser)
    add("--json", action="store_true", help="print a JSON list instead of text")


def run(options: argparse.Namespace) -> int:
    """Return 1 if a run would end before its first image."""
    from lora_checks.core.extensions import load_file
    from lora_checks.gate.readiness import findings, open_unloaded
    from lora_checks.lora.candidates import candidates
    from lora_checks.policy.reading import load_policy

    if (conftest := Path("conftest.py")).is_file():  # it may declare a metric or a network
        load_file(conftest)
    policy = load_policy(options.policy, base=options.base)
    loras = candidates(options.lora, None, Path.cwd()) if options.lora else {}
    run = open_unloaded(policy, shared.place(options), options.device, options.dtype, options.offload)
    seen = list(findings(run, loras))
    wrong = [finding for finding in seen if finding.wrong]
    if options.json:
        print(json.dumps([asdict(finding) for finding in seen], indent=2))
        return int(bool(wrong))
    for finding in seen:
        print(f"{'WRONG' if finding.wrong else 'ok   '}  {finding.about}: {finding.text}")
    print(_next(len(wrong), options))
    return int(bool(wrong))


def _next(wrong: int, options: argparse.Namespace) -> str:
    """Return what to do now, as a command where there is one."""
    folder = shlex.quote(str(options.policy))
    if not wrong:
        given = " ".join(f"--lora {shlex.quote(lora)}" for lora in options.lora) or "--lora YOUR.safetensors"
        return f"ready: pytest --lora-policy {folder} {given}"
    absent = len(missing_of(options))
    fetch = f"; next: lora-checks fetch --policy {folder} (downloads {absent} of them)" if absent else ""
    return f"{wrong} to fix{fetch}"
