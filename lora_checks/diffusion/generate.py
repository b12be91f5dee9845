"""ImageSpec -> PNG bytes: one pipeline, and the LoRAs that are on it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lora_checks.core.contents import Contents
from lora_checks.core.errors import GenerationError
from lora_checks.core.records import ImageSpec, Lora, PromptSet, Proof
from lora_checks.diffusion import apply, proof
from lora_checks.diffusion.apply import Adapter
from lora_checks.diffusion.base import ResolvedBase
from lora_checks.diffusion.base.memory import Memory, fetch_back, place
from lora_checks.diffusion.base.pipeline import load_pipeline
from lora_checks.diffusion.sampling import Limits, Say, free, sample
from lora_checks.images.png import to_png, to_uint8

RESIDENT = 4  # LoRAs kept on the pipeline: to switch to one costs a thirtieth of loading it


@dataclass(frozen=True, slots=True)
class Rendered:
    png: bytes
    how: dict[str, Any]  # what the run came to, of no effect on what the picture is: batch, format of the VAE


class Studio:
    """One loaded pipeline, and the LoRAs that are on it.

    The pipeline loads with the first image and is kept while LoRAs are gated one after another; the last few
    of them stay on it, switched off. One on which anything failed is thrown away: what a loader leaves behind
    can make every later image wrong without an error.
    """

    def __init__(
        self,
        base: ResolvedBase,
        prompts: PromptSet,
        device: str,
        dtype: str,
        *,
        memory: Memory = Memory(),  # noqa: B008  # frozen
        companions: Sequence[Lora] = (),
        unused_tensors: Sequence[str] = (),
        say: Say = lambda _: None,
    ) -> None:
        self._base, self._prompts, self._device, self._dtype = base, prompts, device, dtype
        self._memory, self._say, self._limits = memory, say, Limits()
        self._companions, self._unused_tensors = tuple(companions), tuple(unused_tensors)
        self._pipe: Any = None
        self._files: tuple[Contents, ...] | None = None  # that the pipeline is loaded from
        self._away = False  # the weights wait in main memory
        self._adapters: dict[str, Adapter] = {}  # sha256 -> what is on the pipeline, last used last

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[Rendered]:
        """A PNG for each spec, made in one batch if memory holds it; all are with ``lora`` or all without.

        Raises `GenerationError` for an image that is black or not finite or a LoRA that does not fit the
        base, `LoraFileError` if the file changed since it was inspected.
        """
        with self._at_work():
            self._activate([*self._companions, *([lora] if lora else [])])
            made = list(sample(self._pipe, specs, self._limits, self._say))
        for one in made:
            how = {"batch": one.batch, "asked_batch": len(specs), "vae_dtype": one.vae}
            yield Rendered(to_png(to_uint8(one.pixels, one.spec, self._dtype), one.spec, how), how)

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """That ``lora`` does on the base what its file says, ``others`` being active too."""
        with self._at_work():
            strengths = self._activate([*others, lora])
            adapter = self._adapter(lora)
            del strengths[adapter.name]
            return proof.prove(self._pipe, adapter, lora.scale, strengths)

    def rest(self) -> None:
        """Free the accelerator's memory for the networks that measure; the weights wait in main memory."""
        if self._pipe is None or self._device == "cpu":
            return
        if self._memory.offload == "none":  # else they wait there already
            self._pipe.to("cpu")
            self._away = True
        free(self._device)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """With the pipeline on its device; after a failure there is none."""
        try:
            # a host project's `-W error` is about its own code, not about diffusers' deprecations
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._pipe is None:
                    self._pipe = self._loaded()
                elif self._away:
                    place(self._pipe, self._device, self._memory)
                self._away = False
                yield
            self._refuse_changed()  # weights on a CPU may be read from the file as they are needed
        except BaseException:
            self._discard()
            raise

    def _loaded(self) -> Any:
        if self._files is None:
            self._files = self._base.contents()
        pipe = load_pipeline(self._base, self._prompts, self._device, self._dtype, self._memory)
        self._refuse_changed(loaded=True)
        return pipe

    def _refuse_changed(self, loaded: bool = False) -> None:
        """What other weights made must not be stored under the identity of those that were hashed."""
        for contents in self._files or ():
            if changed := contents.changed(loaded=loaded):
                raise GenerationError(
                    f"base model {self._base.label} changed while it was being used ({changed}); run again "
                    "when nothing writes to it"
                )

    def _activate(self, loras: Sequence[Lora]) -> dict[str, float]:
        """Exactly these, each at its strength."""
        strengths = {self._adapter(lora).name: lora.scale for lora in loras}
        apply.activate(self._pipe, strengths)
        return strengths

    def _adapter(self, lora: Lora) -> Adapter:
        """The LoRA on the pipeline, put there unless it still is; the least used of many makes room."""
        adapter = self._adapters.pop(lora.sha256, None) or self._load(lora)
        self._adapters[lora.sha256] = adapter
        return adapter

    def _load(self, lora: Lora) -> Adapter:
        fetch_back(self._pipe, self._memory)
        kept = {companion.sha256 for companion in self._companions}
        others = [sha256 for sha256 in self._adapters if sha256 not in kept]
        if len(others) >= RESIDENT:
            apply.remove(self._pipe, self._adapters.pop(others[0]).name)
        adapter = apply.load(self._pipe, lora, f"lora_{lora.sha256[:16]}", self._unused_tensors)
        place(self._pipe, self._device, self._memory)
        return adapter

    def _discard(self) -> None:
        self._pipe, self._adapters = None, {}
        free(self._device)
