"""``calibrate``: propose limits from LoRAs that people judged good or bad."""

from __future__ import annotations

import argparse
from pathlib import Path

from lora_checks.commands import shared
from lora_checks.core.errors import ConfigError

HELP = "propose limits from LoRAs known to be good and bad"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    shared.add_policy(parser)
    add("--good", nargs="+", metavar="LORA", help="LoRAs that should pass")
    add("--bad", nargs="+", metavar="LORA", help="LoRAs that should fail, for any reason")
    add("--votes", type=Path, metavar="FILE", help="votes.json, whose good and bad LoRAs are taken instead")
    shared.add_store(parser)
    shared.add_device(parser)
    add("--seeds", "--lora-seeds", type=int, metavar="N", help="images per prompt (default: the policy's)")


def run(options: argparse.Namespace) -> int:
    from lora_checks.gate import calibrate

    good, bad = _labels(options)
    proposal = calibrate.run(options.policy, good, bad, shared.place(options), options.device, options.seeds)
    print(proposal.text)
    return int(not proposal.sound)


def _labels(options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Return the good and the bad LoRAs. Raises `ConfigError` unless there are both, from one source."""
    if options.votes is None:
        if not options.good or not options.bad:
            raise ConfigError("name LoRAs under --good and --bad, or a votes.json under --votes")
        return options.good, options.bad
    if options.good or options.bad:
        raise ConfigError("--votes says which LoRAs are good and bad; leave out --good and --bad")
    return voted(options.votes)


def voted(path: Path) -> tuple[list[str], list[str]]:
    """Return the files of the LoRAs that people called good and bad.

    Raises:
        ReportError: the votes cannot be read.
        ConfigError: people made no sure difference, or a LoRA's file is gone or another one.
    """
    from lora_checks.record.votes import beside

    votes = beside.read(path)
    if not votes["good"]:
        raise ConfigError(f"{path}: no LoRA is surely worse than the first; gather more votes, or name LoRAs")
    places = {lora["lora"]: (lora["path"], lora["sha256"]) for lora in votes["loras"]}
    for label in (*votes["good"], *votes["bad"]):
        _same_file(label, *places[label])
    return [places[label][0] for label in votes["good"]], [places[label][0] for label in votes["bad"]]


def _same_file(label: str, path: str, sha256: str) -> None:
    """Check that the LoRA that people saw is the one at its path."""
    from lora_checks.lora.candidates import candidates

    if not Path(path).exists():
        raise ConfigError(f"--votes: the file of '{label}' is not at {path}; run this where the gate ran")
    if [one.read().sha256 for one in candidates([path], None, Path()).values()] != [sha256]:
        raise ConfigError(
            f"--votes: {path} is not the file of '{label}' that people saw: gate it, vote again"
        )
