"""Proof that the base does what the policy's settings say: from the store, or tried now."""

from __future__ import annotations

from typing import Any

from lora_checks.core.errors import LoraChecksError, StoreError
from lora_checks.core.records import PromptSet, digest
from lora_checks.core.store import Store
from lora_checks.diffusion import tried
from lora_checks.diffusion.renderer import Renderer
from lora_checks.images.plan import Machine

FOLDER = "settings"  # of the store


class Settled:
    """Tries the settings of a run once; every image that is made asks."""

    def __init__(self, store: Store, studio: Renderer, prompts: PromptSet) -> None:
        self._store, self._studio, self._prompts = store, studio, prompts
        self._done = False
        self._refused: LoraChecksError | None = None

    def refuse_ignored(self, machine: Machine) -> None:
        """Raise the error of `tried.refuse_ignored`, in this run and, unless it is mended, in the next."""
        if self._refused is not None:
            raise self._refused
        if self._done:
            return
        try:
            self._tried(machine)
        except StoreError:
            raise
        except LoraChecksError as error:
            self._refused = error
            raise
        self._done = True

    def _tried(self, machine: Machine) -> None:
        arms = self._prompts.arms
        texts = [(prompt.id, prompt.text) for prompt in self._prompts.prompts]
        where = [machine.base, machine.device, machine.dtype, machine.versions, machine.memory]
        name = digest([tried.VERSION, [arm.sampler for arm in arms], texts, where])

        def prove() -> dict[str, Any]:
            self._studio.try_settings()
            return {"versions": list(machine.versions)}  # for people who clean up the store

        self._store.record(self._store.root / FOLDER / f"{name}.json", prove)
