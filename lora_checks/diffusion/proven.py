"""Proofs that LoRAs are applied, from the store or measured now."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lora_checks.core.errors import LoraChecksError, StoreError
from lora_checks.core.records import Lora, Proof
from lora_checks.core.store import Store
from lora_checks.diffusion.proof import kept
from lora_checks.diffusion.renderer import Renderer
from lora_checks.images.plan import Machine


class Proofs:
    """Proves each LoRA once; every row of a LoRA asks."""

    def __init__(self, store: Store, studio: Renderer, unused_tensors: tuple[str, ...]) -> None:
        self._store, self._studio, self._unused_tensors = store, studio, unused_tensors
        self._refused: dict[Path, LoraChecksError] = {}  # by the place of the proof

    def of(self, lora: Lora, machine: Machine) -> Proof:
        """Return the proof that the LoRA is on the base with the machine's companions.

        Raises:
            GenerationError, LoraFileError: it is not; names the layer or tensor.
        """
        path = kept.place(self._store, machine, lora, self._unused_tensors)
        if path in self._refused:  # every row reports it; it is tried once
            raise self._refused[path]
        prove = partial(self._studio.prove, lora, machine.companions)
        try:
            return kept.kept(self._store, path, lora, machine, prove)
        except StoreError:
            raise
        except LoraChecksError as error:
            self._refused[path] = error
            raise
