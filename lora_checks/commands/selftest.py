"""``selftest``: what a policy's networks say of the package's own pictures."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

HELP = "test a policy's networks on known pictures; --record prints numbers to keep in the policy"


def add(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--policy",
        "--lora-policy",
        type=Path,
        default=Path(),
        help="folder with thresholds.yaml and prompts.yaml",
    )
    add("--device", "--lora-device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    add("--record", action="store_true", help="print `self_test:` of each network, for thresholds.yaml")


def run(options: argparse.Namespace) -> int:
    """1 where a network is not what the policy or the package's table says."""
    from lora_checks import networks as extractors
    from lora_checks.core.device import choose_device
    from lora_checks.core.extensions import load_file
    from lora_checks.networks.self_test.scores import examine
    from lora_checks.policy import reading

    if (conftest := Path("conftest.py")).is_file():  # it may declare a network
        load_file(conftest)
    networks, device = reading.load_policy(options.policy).networks, choose_device(options.device)
    found = {
        slot: (settings, network.id, examine(network))
        for slot, settings in networks.items()
        for network in [extractors.build(slot, settings, device)]
    }
    if options.record:
        print("\n".join(recorded({slot: scores for slot, (_, _, scores) in found.items()})))
        return 0
    sound = [said(slot, *of_network) for slot, of_network in found.items()]
    return int(not all(sound))


def said(slot: str, settings: Mapping[str, Any], identity: str, found: Mapping[str, float]) -> bool:
    """Print a network's line, and whether it is as expected."""
    from lora_checks.networks import self_test

    if self_test.KEY in settings:
        expected, source = self_test.declared(slot, settings), "the policy says"
    else:
        expected, source = self_test.known().get(identity, {}), "the package's table says"
    if not expected:
        print(f"{slot}: works, and nothing says what it should see; --record prints it for the policy")
        return True
    wrong = self_test.deviations(slot, expected, found)
    print(f"{slot}: {'; '.join(map(str, wrong)) or f'{len(expected)} numbers are what'} {source}")
    return not wrong


def recorded(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Lines of YAML, to put beside each network's other settings."""
    yield "networks:"
    for slot, scores in found.items():
        yield f"  {slot}:"
        yield "    self_test:"
        yield from (f"      {name}: {value:.5g}" for name, value in scores.items())
