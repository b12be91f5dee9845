"""``selftest``: run a policy's networks on the package's built-in pictures."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lora_checks.commands import shared

if TYPE_CHECKING:
    from lora_checks.networks.vlm.model import VisionModel

HELP = "test a policy's networks on known pictures; --record prints the expected numbers"


def add(parser: argparse.ArgumentParser) -> None:
    shared.add_policy(parser)
    shared.add_device(parser)
    parser.add_argument(
        "--record",
        action="store_true",
        help="print the `self_test:` section of each network, for thresholds.yaml",
    )


def run(options: argparse.Namespace) -> int:
    """Return 1 if a network deviates from the numbers in the policy or the package's table."""
    from lora_checks import networks as extractors
    from lora_checks.core.device import choose_device
    from lora_checks.core.extensions import load_file
    from lora_checks.networks.self_test.scores import examine
    from lora_checks.networks.vlm.model import VisionModel
    from lora_checks.policy import reading

    if (conftest := Path("conftest.py")).is_file():  # it may declare a network
        load_file(conftest)
    networks, device = reading.load_policy(options.policy).networks, choose_device(options.device)
    built = {slot: extractors.build(slot, settings, device) for slot, settings in networks.items()}
    examined = {
        slot: (networks[slot], network.id, examine(network))
        for slot, network in built.items()
        if not isinstance(network, VisionModel)
    }
    for slot, network in built.items():
        if isinstance(network, VisionModel) and not options.record:
            _look(slot, network)
    if options.record:
        print("\n".join(recorded({slot: scores for slot, (_, _, scores) in examined.items()})))
        return 0
    sound = [_check(slot, *network) for slot, network in examined.items()]
    return int(not all(sound))


def _look(slot: str, model: VisionModel) -> None:
    """Print one line about a vision model; raise `SelfTestError` if it does not look at pictures."""
    from lora_checks.core.store import Store
    from lora_checks.judge.controls import refuse_blind

    with tempfile.TemporaryDirectory() as folder:
        refuse_blind(model, Store(Path(folder)))
    print(f"{slot}: looks at pictures; a run tries each question on pictures whose answers are known")


def _check(slot: str, settings: Mapping[str, Any], identity: str, scores: Mapping[str, float]) -> bool:
    """Print one line about a network and return whether it gives the expected numbers."""
    from lora_checks.networks import self_test

    if self_test.KEY in settings:
        expected, source = self_test.declared(slot, settings), "the policy says"
    else:
        expected, source = self_test.known().get(identity, {}), "the package's table says"
    if not expected:
        print(f"{slot}: works, but no expected numbers are known; --record prints them for the policy")
        return True
    wrong = self_test.deviations(slot, expected, scores)
    print(f"{slot}: {'; '.join(map(str, wrong)) or f'{len(expected)} numbers are what'} {source}")
    return not wrong


def recorded(scores_by_slot: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of YAML to merge into the policy's `networks:`."""
    yield "networks:"
    for slot, scores in scores_by_slot.items():
        yield f"  {slot}:"
        yield "    self_test:"
        yield from (f"      {name}: {value:.5g}" for name, value in scores.items())
