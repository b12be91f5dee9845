"""Decide whether a run is compiled, and which seat its base's images are made in.

A seat at strength 0 adds exactly nothing, and yet the base's pixels depend on which layers have one: compiled
code fuses, and so rounds, another way around each. In bfloat16 that is up to four grey levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import LoraChecksError
from lora_checks.core.records import Lora, digest
from lora_checks.diffusion import compiling
from lora_checks.diffusion.apply import place, seat
from lora_checks.diffusion.loader import weightless
from lora_checks.lora.bundles import joined
from lora_checks.lora.header import Header, read_header
from lora_checks.lora.opening import open_regular

Layout = tuple[tuple[str, str, int], ...]  # component, module and rank of each place of a seat


@dataclass(frozen=True)
class Seating:
    """How the LoRAs of a compiled run take turns, or why the run is not compiled."""

    why_plain: str = ""
    first: Lora | None = None  # it is in the seat while the base's images are made
    layout: Layout = ()

    @property
    def name(self) -> str:
        """Return the same text for seats in which the base has the same pixels."""
        return digest(self.layout)[:16]


def decide(
    gated: Sequence[Lora],
    companions: Sequence[Lora],
    folder: Path,
    offload: str,
    quantised: bool = False,
    allowed: Sequence[str] = (),
) -> Seating:
    """Decide for all LoRAs of a run together, so that images with and without one are made in one way.

    Args:
        gated: The LoRAs under test; those that do not fit the base have verdicts of their own.
        companions: The LoRAs that are on every image.
        folder: The base's pipeline; its weights are not read.
        offload: Where weights wait.
        quantised: Networks of the base are.
        allowed: fnmatch patterns of tensor names that may have no place on the base.
    """
    if plain := compiling.why_plain((*companions, *gated), folder, offload, quantised):
        return Seating(plain)
    pipe = weightless.pipeline(folder)
    laid = [(lora, found) for lora in gated if (found := _layout(lora, pipe, allowed))]
    if not laid:
        return Seating()
    first, layout = laid[0]
    for lora, other in laid[1:]:
        if _modules(other) != _modules(layout):
            return Seating(
                f"{lora.path.name} changes other layers than {first.path.name}, around which compiled "
                "code rounds otherwise; gate it in a run of its own"
            )
    return Seating("", first, layout)


def _layout(lora: Lora, pipe: Any, allowed: Sequence[str]) -> Layout:
    """Return the places of the LoRA's seat; none if the LoRA does not fit the base."""
    try:
        placed, _ = place(pipe, lora, joined([_header(path).tensors for path in _files(lora)]), allowed)
    except LoraChecksError:
        return ()
    return tuple(
        sorted(
            (one.layer.component, path, seat.capacity(one.layer.rank or 1))
            for one in placed
            for path in one.paths
        )
    )


def _modules(layout: Layout) -> set[tuple[str, str]]:
    return {(component, path) for component, path, _ in layout}


def _files(lora: Lora) -> list[Path]:
    return [path for path in (lora.path, lora.second) if path is not None]


def _header(path: Path) -> Header:
    with open_regular(path) as file:
        return read_header(file, path.stat().st_size, path.suffix.lower())
