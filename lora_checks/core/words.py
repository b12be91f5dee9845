"""Format numbers, names and proofs for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lora_checks.core.outside import printable as printable
from lora_checks.core.records import Proof
from lora_checks.core.rounding import slack


def number(value: float | None, unlike: Iterable[float | None] = ()) -> str:
    """Format a number with about three decimals, or with more where it must look different.

    Args:
        value: The number; None and non-finite numbers become "-".
        unlike: Numbers in the same sentence. Enough decimals are shown to tell them apart, so that no
            sentence says that 0.500 is below 0.500.
    """
    if value is None or not math.isfinite(value):
        return "-"
    if 0 < abs(value) < 0.001:
        return f"{value:.2e}"
    others = [other for other in unlike if other is not None and abs(value - other) > slack(other)]
    for digits in range(_decimals(value), 12):
        text = f"{value + 0.0:.{digits}f}"
        if all(text != f"{other:.{digits}f}" for other in others):
            return text
    return repr(value)


def _decimals(value: float) -> int:
    return 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1


def count(n: int, noun: str) -> str:
    """Return "1 layer", "2 layers"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def proven(proof: Proof) -> str:
    """Return the proof in words: "all 212 tensors, moves unet by 4.1 %; 2 of 106 layers untrained: ..."."""
    moved = ", ".join(f"{name} by {_percent(effect)}" for name, effect in proof.effect.items())
    parts = [f"all {proof.tensors} tensors, moves {moved}"]
    if proof.unused:
        parts = [f"{proof.tensors - len(proof.unused)} of {proof.tensors} tensors, moves {moved}"]
        parts.append(f"{len(proof.unused)} left out, as the policy allows: {some(proof.unused)}")
    if proof.dead:
        parts.append(f"{count(len(proof.dead), 'layer')} of {proof.layers} untrained: {some(proof.dead)}")
    return "; ".join(parts)


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 1 else f"{100 * share:.0f} %"


def some(names: Sequence[str]) -> str:
    """Return "a, b", or "a, b and 3 more"."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


def clean(value: Any) -> Any:
    """Return the value with control characters removed from every text, at any depth."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
