"""Check that each network of a policy still works as it did, on three pictures of this package.

Its numbers for these pictures are compared with the expected ones: the network's ``self_test:`` in the
policy, its entry in this package's table, or the numbers of the first run with this store. Weights that
changed under the same name, a library that resizes differently, swapped colours: each is an error before any
image is made, instead of a wrong value in a release.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, SelfTestError
from lora_checks.core.records import digest
from lora_checks.core.store import Store
from lora_checks.core.words import number
from lora_checks.networks import Extractor, kind_of, refuse_changed

VERSION = 1  # of the pictures and of the numbers computed from them
KEY = "self_test"  # of a network's settings
TOLERANCE = 0.002  # absolute up to 1, relative above; processors and threads differ by less
KNOWN = Path(__file__).parent / "known.json"
LIBRARIES = (
    *("torch", "torchvision", "onnxruntime", "open_clip_torch", "transformers", "insightface", "lpips"),
    *("opencv-python-headless", "opencv-python", "pillow", "numpy", "pytorch-fid"),
)
Scores = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Expected:
    scores: Scores
    source: str  # who expects them, as in "by the policy"
    remedy: str


@dataclass(frozen=True, slots=True)
class Deviation:
    name: str
    expected: float
    found: float

    def __str__(self) -> str:
        return (
            f"{self.name} is {number(self.found, [self.expected])}, not {number(self.expected, [self.found])}"
        )


def check(slot: str, settings: Mapping[str, Any], network: Extractor, store: Store, device: str) -> Scores:
    """Return the network's numbers, measured once for each version of the libraries and then stored.

    Raises:
        SelfTestError: A number is not the expected one; the message has both.
    """
    numbers = kept(network, store, device)
    expected = _expected(slot, settings, network, store, device, numbers)
    wrong = deviations(slot, expected.scores, numbers)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise SelfTestError(
            f"networks: {slot}: {network.label} does not see what it should: "
            f"{', '.join(map(str, wrong[:3]))}{more} ({expected.source}); {expected.remedy}"
        )
    return numbers


def kept(network: Extractor, store: Store, device: str) -> Scores:
    """Return the network's numbers from the store; measure them if these libraries are new to it."""
    key = digest([VERSION, network.id, _kind_of(device), libraries()])
    path = store.root / "self_test" / f"{key}.json"

    def ask() -> dict[str, Any]:
        from lora_checks.networks.self_test.scores import examine

        now = examine(network)
        refuse_changed(network)
        return {"network": network.id, "libraries": libraries(), "scores": now}

    scores: Scores = store.record(path, ask)["scores"]
    return scores


def deviations(slot: str, expected: Scores, numbers: Scores) -> list[Deviation]:
    """Return the numbers that are not the expected ones, the largest deviation first."""
    unknown = sorted(expected.keys() - numbers.keys())
    if unknown:
        raise ConfigError(
            f"networks: {slot}: {KEY}: this network has no '{unknown[0]}'; it has "
            f"{', '.join(sorted(numbers))}"
        )
    pairs = [(abs(numbers[name] - value) / max(1.0, abs(value)), name) for name, value in expected.items()]
    # `not <=` instead of `>`, so that a NaN deviates.
    wrong = sorted((pair for pair in pairs if not pair[0] <= TOLERANCE), reverse=True)
    return [Deviation(name, expected[name], numbers[name]) for _, name in wrong]


def _expected(
    slot: str, settings: Mapping[str, Any], network: Extractor, store: Store, device: str, found: Scores
) -> Expected:
    if KEY in settings:
        remedy = (
            "put back the weights and libraries that the limits were set with or, if the change is intended, "
            "set the limits again and use the numbers of `python -m lora_checks selftest --record`"
        )
        return Expected(declared(slot, settings), "by the policy", remedy)
    if network.id in known():
        remedy = (
            "the weights are the published ones, so a library changed: go back to an earlier version of it"
        )
        return Expected(known()[network.id], "by this package's table", remedy)
    return _first_seen(slot, settings, network, store, device, found)


def _first_seen(
    slot: str, settings: Mapping[str, Any], network: Extractor, store: Store, device: str, found: Scores
) -> Expected:
    """Return the numbers of the first run, keyed by settings; not by weights, whose change must show."""
    named = {key: value for key, value in settings.items() if key not in ("name", "device")}
    key = digest([VERSION, kind_of(slot, settings), named, _kind_of(device)])
    path = store.root / "self_test" / f"first-{key}.json"
    about = {"network": network.id, "libraries": libraries(), "scores": found}
    first = store.first_record(path, about)
    what = _changed(first, network)
    return Expected(
        first["scores"],
        f"by the first run with this store; since then {what} changed",
        f"go back to them or, if the change is intended, set the limits again and delete {path}",
    )


def _changed(first: Mapping[str, Any], network: Extractor) -> str:
    now = set(libraries())
    gone = [name for name in first["libraries"] if name not in now]
    parts = [f"its weights or settings ({first['network']} before)"] if first["network"] != network.id else []
    return (
        " and ".join([*parts, *([f"libraries ({', '.join(gone)} before)"] if gone else [])])
        or "nothing known"
    )


def declared(slot: str, settings: Mapping[str, Any]) -> Scores:
    """Return the policy's ``self_test:`` of a network; raise `ConfigError` if it is malformed."""
    scores = settings[KEY]
    right = isinstance(scores, Mapping) and scores
    if not right or any(isinstance(v, bool) or not isinstance(v, int | float) for v in scores.values()):
        raise ConfigError(
            f"networks: {slot}: {KEY}: must hold names and numbers, as "
            "`python -m lora_checks selftest --record` prints them"
        )
    return {str(name): float(value) for name, value in scores.items()}


@cache
def known() -> Mapping[str, Scores]:
    """Return identity -> numbers, for the networks that were measured when this package was released."""
    found: dict[str, Scores] = json.loads(KNOWN.read_text(encoding="utf-8"))
    return found


@cache
def libraries() -> tuple[str, ...]:
    """Return name and version of each installed library that influences a network's numbers."""
    return tuple(f"{name} {installed}" for name in LIBRARIES if (installed := _installed(name)))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _kind_of(device: str) -> str:
    return device.partition(":")[0]
