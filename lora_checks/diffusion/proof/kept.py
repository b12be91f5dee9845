"""Proofs kept in the store: a LoRA is proven on a base once, however often it is gated."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from lora_checks.core.errors import StoreError
from lora_checks.core.records import Lora, Proof, digest
from lora_checks.core.store import Store
from lora_checks.images.plan import Machine

VERSION = 1  # of the proving itself: what an earlier version has proven is proven again


def place(store: Store, machine: Machine, lora: Lora, allowed: Sequence[str]) -> Path:
    companions = [(companion.sha256, companion.scale) for companion in machine.companions]
    where = [machine.base, machine.device, machine.dtype, machine.versions, companions]
    name = digest([VERSION, lora.sha256, lora.scale, where, sorted(allowed)])
    return store.root / "proofs" / f"{name}.json"


def encode(proof: Proof) -> bytes:
    return json.dumps(dataclasses.asdict(proof), allow_nan=False, sort_keys=True).encode()


def decode(path: Path) -> Proof:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        lists = {name: tuple(found[name]) for name in ("unused", "dead")}
        return Proof(**(found | lists))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(f"damaged file in the store: {path} ({error}); delete it and run again") from error
