"""Store proofs, so that a LoRA is proven on a base once, however often it is gated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lora_checks.core.records import Lora, Proof, digest
from lora_checks.core.store import Store
from lora_checks.images import plan
from lora_checks.images.plan import Machine

VERSION = 1  # of the proof's method; bump to redo the stored proofs


def place(store: Store, machine: Machine, lora: Lora, allowed: Sequence[str]) -> Path:
    companions = [(companion.sha256, companion.scale) for companion in machine.companions]
    where = [machine.base, machine.device, machine.dtype, machine.versions, companions]
    if plan.COMPILED in machine.memory:
        where.append(plan.COMPILED)
    name = digest([VERSION, lora.sha256, lora.scale, where, sorted(allowed)])
    return store.root / "proofs" / f"{name}.json"


def kept(store: Store, path: Path, lora: Lora, machine: Machine, prove: Callable[[], Proof]) -> Proof:
    """Return the proof at ``path``; call ``prove`` if it is missing or damaged."""

    def make() -> dict[str, Any]:
        about = {"lora": lora.sha256, "versions": list(machine.versions)}  # for people who clean up the store
        return {"proof": dataclasses.asdict(prove()), **about}

    found = store.record(path, make)["proof"]
    lists = {name: tuple(found[name]) for name in ("unused", "dead")}
    return Proof(**(found | lists))
