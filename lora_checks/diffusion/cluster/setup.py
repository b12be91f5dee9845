"""What a worker is told once, and what it tells about its node; a node that differs is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lora_checks.core.device import hardware, library_versions
from lora_checks.core.errors import ConfigError, LoraChecksError, PrerequisiteError
from lora_checks.core.packages import version
from lora_checks.core.records import Lora, Policy
from lora_checks.core.remote.place import Place
from lora_checks.diffusion.base.memory import Memory
from lora_checks.images.plan import Machine


@dataclass(frozen=True)
class Setup:
    """Everything that a worker needs to make images as this process would."""

    policy: Policy
    store: Place
    device: str  # "cpu" or "cuda": a worker sees one GPU only
    dtype: str
    batch_size: int
    memory: Memory
    companions: tuple[Lora, ...] = ()
    files: Mapping[Path, Any] = field(default_factory=dict)  # of the companions; see `worker.placed`
    offline: Path | None = None  # of --lora-offline
    probe: tuple[Path, str] | None = None  # a file in the store, and its text


@dataclass(frozen=True)
class Node:
    """What decides a worker's results, and where it runs."""

    name: str
    process: int
    hardware: str
    code: str  # of the package
    versions: tuple[str, ...]
    machine: Machine | None  # None where the base was not looked at
    sees_store: bool = True
    trouble: str = ""  # why it cannot work


def this_node(name: str, process: int, device: str, machine: Machine | None) -> Node:
    """Describe this process."""
    versions = (f"lora-checks {version()}", *library_versions())
    return Node(name, process, hardware(device), code_digest(), versions, machine)


@cache
def code_digest() -> str:
    """Return a digest of the package's source."""
    root = Path(__file__).parents[2]
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def refusal(here: Node, node: Node) -> LoraChecksError | None:
    """Return why a node's results would be others than this process's, or None."""
    where = f"--lora-cluster: node {node.name}"
    if not node.sees_store:
        return ConfigError(
            f"{where} does not see the store of this run; name a folder that all nodes share, or a "
            "bucket, with --lora-store URL"
        )
    if node.trouble:
        return PrerequisiteError(f"{where}: {node.trouble}")
    for what, mine, other in _compared(here, node):
        if mine != other:
            return PrerequisiteError(
                f"{where} has {what} {other} and this process {mine}: their results could differ; "
                "make them equal, or leave the node out of the cluster"
            )
    return None


def _compared(here: Node, node: Node) -> Sequence[tuple[str, object, object]]:
    def only(one: Sequence[str], other: Sequence[str]) -> str:
        return ", ".join(text for text in one if text not in other)

    mine, others = here.versions, node.versions
    return (
        ("the hardware", here.hardware, node.hardware),
        ("the packages", only(mine, others), only(others, mine)),
        ("code of lora_checks with the digest", here.code, node.code),
        ("the settings or the base", here.machine, node.machine),
    )
