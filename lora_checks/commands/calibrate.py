"""``calibrate``: propose limits from LoRAs that people judged good or bad."""

from __future__ import annotations

import argparse

from lora_checks.commands import shared

HELP = "propose limits from LoRAs known to be good and bad"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    shared.add_policy(parser)
    add("--good", nargs="+", required=True, metavar="LORA", help="LoRAs that should pass")
    add("--bad", nargs="+", required=True, metavar="LORA", help="LoRAs that should fail, for any reason")
    shared.add_store(parser)
    shared.add_device(parser)
    add("--seeds", "--lora-seeds", type=int, metavar="N", help="images per prompt (default: the policy's)")


def run(options: argparse.Namespace) -> int:
    from lora_checks.gate import calibrate

    proposal = calibrate.run(
        options.policy, options.good, options.bad, options.store, options.device, options.seeds
    )
    print(proposal.text)
    return int(not proposal.sound)
