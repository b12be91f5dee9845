"""Generate images: one pipeline and the LoRAs on it turn `ImageSpec`s into PNG files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from lora_checks.core.contents import Contents
from lora_checks.core.errors import GenerationError, NoRoomError
from lora_checks.core.known_digests import KnownDigests
from lora_checks.core.records import ImageSpec, Lora, PromptSet, Proof, Sampler
from lora_checks.core.words import count
from lora_checks.diffusion import apply, proof, tried
from lora_checks.diffusion.apply import Adapter, seat
from lora_checks.diffusion.base import ResolvedBase, room, scheduler
from lora_checks.diffusion.base.memory import Memory, empty, fetch_back, place, settle
from lora_checks.diffusion.base.pipeline import load_pipeline
from lora_checks.diffusion.compiling import Compiled
from lora_checks.diffusion.decoder import Limits, Say
from lora_checks.diffusion.device_memory import free, out_of_memory
from lora_checks.diffusion.encoded import Encoded
from lora_checks.diffusion.sampling import Sampled, sample
from lora_checks.images.png import to_png, to_uint8

NETWORKS = 4 << 30  # bytes on an accelerator that the measuring networks may take beside the pipeline
RESIDENT = 4  # LoRAs kept on the pipeline; switching to one takes a thirtieth of the time to load it


@dataclass(frozen=True, slots=True)
class Rendered:
    """One generated image."""

    sampled: Sampled
    dtype: str  # of the pipeline
    how: dict[str, Any]  # how this run made it (batch size, VAE dtype); not part of the recipe

    def png(self) -> bytes:
        """Return the image as a PNG with its recipe; call it while the next batch is made.

        Raises:
            GenerationError: It is black or not finite.
        """
        spec = self.sampled.spec
        return to_png(to_uint8(self.sampled.pixels, spec, self.dtype), spec, self.how)


class Studio:
    """One loaded pipeline and the LoRAs on it.

    The pipeline is loaded for the first image and kept while LoRAs are gated one after another; the last few
    LoRAs stay on it, switched off. After any failure the pipeline is discarded: leftovers of a failed load
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
        known: KnownDigests | None = None,
        compiled: bool = False,
        first: Callable[[], Lora | None] = lambda: None,
    ) -> None:
        self._compile, self._first = compiled, first
        self._compiled: Compiled | None = None
        self._seat_of_base: seat.Shapes | None = None
        self._base, self._prompts, self._device, self._dtype = base, prompts, device, dtype
        self.memory, self._say, self._limits, self._known = memory, say, Limits(), known
        self._companions, self._unused_tensors = tuple(companions), tuple(unused_tensors)
        self._pipe: Any = None
        self._encoded = Encoded()
        self._files: tuple[Contents, ...] | None = None  # files that the pipeline is loaded from
        self._away = False  # the weights wait in main memory
        self._no_room = ""  # why no LoRA of this run can have an image
        self._adapters: dict[str, Adapter] = {}  # by sha256, the most recently used last
        self._resident = RESIDENT

    def render(self, specs: Sequence[ImageSpec], lora: Lora | None) -> Iterator[Rendered]:
        """Generate an image for each spec, in one batch if memory allows.

        Args:
            specs: The images to make.
            lora: The LoRA that all of them are made with; None for the base alone.

        Raises:
            GenerationError: The LoRA does not fit the base.
            LoraFileError: The file changed since it was inspected.
        """
        with self._at_work():
            loras = [*self._companions, *([lora] if lora else [])]
            if lora is None:
                self._take_seat()
            self._activate(loras)
            scheduler.use(self._pipe, arm_of(self._prompts, specs[0].sampler))
            blocks = self._compiled.on() if self._compiled else nullcontext()
            with blocks, self._encoded.on(self._pipe, self._readers_state(loras)):
                used = {one.sha256 for one in loras}
                make_room = partial(self._drop_idle, used)
                samples = list(sample(self._pipe, specs, self._limits, self._say, make_room))
        fewer = {"resident_loras": self._resident} if self._resident < RESIDENT else {}
        for image in samples:
            how = {"batch": image.batch, "asked_batch": len(specs), "vae_dtype": image.vae, **fewer}
            yield Rendered(image, self._dtype, how)

    def prepare(self, *_: object) -> None:
        """Do nothing: one device makes one block after the other, as they are asked for."""

    def prove(self, lora: Lora, others: Sequence[Lora]) -> Proof:
        """Prove that ``lora`` does on the base what its file says, with ``others`` active too."""
        with self._at_work():
            strengths = self._activate([*others, lora])
            adapter = self._adapter(lora)
            del strengths[adapter.name]
            compiled = self._compiled.on if self._compiled else None
            return proof.prove(self._pipe, adapter, lora.scale, strengths, compiled)

    def try_settings(self) -> None:
        """Prove that the base alone does what the policy's settings say; see `tried`.

        Raises:
            ConfigError: A setting changes nothing; the message names the file and line.
        """
        with self._at_work():
            self._activate([])
            for arm in self._prompts.arms:
                scheduler.use(self._pipe, arm)
                tried.refuse_ignored(self._pipe, self._base.folder, arm)

    def crowded(self) -> bool:
        """Return whether the device has no room for the measuring networks beside the weights."""
        if self._pipe is None or self._device == "cpu" or self._away:
            return False
        free(self._device)
        if self.memory.offload != "none":  # they are in main memory already
            return False
        left = room.device_room(self._device)
        return left is None or left[0] < NETWORKS

    def rest(self) -> None:
        """Make room for the measuring networks: move the weights to main memory if they need the room."""
        if not self.crowded():
            return
        try:
            self._pipe.to("cpu")
        except BaseException:
            self._discard()
            raise
        self._away = True
        free(self._device)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Put the pipeline on its device; discard it if the block fails."""
        if self._no_room:
            raise NoRoomError(self._no_room)
        try:
            # a host project's `-W error` is meant for its own code, not for diffusers' deprecations
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if self._pipe is None:
                    self._load_base()
                elif self._away:
                    place(self._pipe, self._device, self.memory)
                self._away = False
                yield
                settle(self._pipe)
            refuse_changed(
                self._base, self._files
            )  # weights on a CPU may be read from the file as they are needed
        except NoRoomError as error:
            if len(self._adapters) <= len(self._companions) + 1:  # no other LoRA took the room
                self._no_room = str(error)
            self._discard()
            raise
        except BaseException as error:
            doing = "for a LoRA on" if self._adapters else "to run"
            self._discard()
            if out_of_memory(error):
                raise room.Room(self._base, self._device, self._dtype, self.memory).error(doing) from None
            raise

    def _load_base(self) -> None:
        asked = room.Room(self._base, self._device, self._dtype, self.memory)
        self.memory = asked.settled(self._say, self._compile)
        if self._files is None:
            self._files = self._base.contents(self._known)
        self._pipe = load_pipeline(self._base, self._prompts, self._device, self._dtype, self.memory)
        self._compiled = Compiled(self._pipe) if self._compile else None
        refuse_changed(self._base, self._files, loaded=True)

    def _activate(self, loras: Sequence[Lora]) -> dict[str, float]:
        """Activate exactly these LoRAs, each at its strength; return the strengths by adapter name."""
        strengths = {self._adapter(lora).name: lora.scale for lora in loras}
        apply.activate(self._pipe, strengths)
        return strengths

    def _take_seat(self) -> None:
        """Let the base's images come through the code of the run's first LoRA, whichever is made first.

        Compiled without a seat, or around other layers, a block rounds otherwise.
        """
        if self._compiled is None or self._seat_of_base == self._seat_now() or not (lora := self._first()):
            return
        self._adapter(lora)
        self._seat_of_base = self._seat_now()

    def _seat_now(self) -> seat.Shapes:
        return seat.shapes(apply.slots(self._pipe).get(seat.NAME, []))

    def _readers_state(self, loras: Sequence[Lora]) -> list[tuple[str, float]]:
        """Return the active LoRAs that change how a prompt is read, with their strengths."""
        denoisers = apply.denoisers(self._pipe)
        return [
            (lora.sha256, lora.scale)
            for lora in loras
            if any(one.layer.component not in denoisers for one in self._adapter(lora).placed)
        ]

    def _adapter(self, lora: Lora) -> Adapter:
        """Return the LoRA's adapter; load it if needed, replacing the least recently used one."""
        adapter = self._adapters.pop(lora.sha256, None) or self._load(lora)
        if adapter.name == seat.NAME:  # it took the place of the LoRA before it
            self._adapters = {key: one for key, one in self._adapters.items() if one.name != seat.NAME}
        self._adapters[lora.sha256] = adapter
        return adapter

    def _load(self, lora: Lora) -> Adapter:
        fetch_back(self._pipe, self.memory)
        companions = {companion.sha256 for companion in self._companions}
        others = [sha256 for sha256 in self._adapters if sha256 not in companions]
        if len(others) >= self._resident:  # in a seat there is never more than one
            apply.remove(self._pipe, self._adapters.pop(others[0]).name)
        swapped = self._compile and lora.sha256 not in companions
        name = seat.NAME if swapped else f"lora_{lora.sha256[:16]}"
        adapter = apply.load(self._pipe, lora, name, self._unused_tensors)
        place(self._pipe, self._device, self.memory)
        return adapter

    def _drop_idle(self, used: Collection[str]) -> bool:
        """Remove the LoRA that was not used for longest, and keep as few from here on; False if all are used.

        ``used``: by sha256. A seat stays: images of the base come through its code.
        """
        companions = {companion.sha256 for companion in self._companions}
        others = [sha256 for sha256 in self._adapters if sha256 not in companions]
        idle = [sha for sha in others if sha not in used and self._adapters[sha].name != seat.NAME]
        if not idle:
            return False
        dropped, fewer = self._adapters.pop(idle[0]), max(1, len(others) - 1)
        if fewer < self._resident:
            self._resident = fewer
            self._say(
                f"memory ran out: no more than {count(fewer, 'LoRA')} at a time on the base from here on"
            )
        fetch_back(self._pipe, self.memory)
        apply.remove(self._pipe, dropped.name)
        place(self._pipe, self._device, self.memory)
        free(self._device)
        return True

    def _discard(self) -> None:
        if self._pipe is not None:
            empty(self._pipe.components.values())
        self._pipe, self._adapters, self._away, self._encoded = None, {}, False, Encoded()
        self._compiled = None
        free(self._device)


def refuse_changed(base: ResolvedBase, files: Sequence[Contents] | None, loaded: bool = False) -> None:
    """Raise `GenerationError` if the base changed: images belong to the weights that were hashed."""
    for contents in files or ():
        if changed := contents.changed(loaded=loaded):
            raise GenerationError(
                f"base model {base.label} changed while it was being used ({changed}); run again "
                "when nothing writes to it"
            )


def arm_of(prompts: PromptSet, sampler: Sampler) -> PromptSet:
    """Return the policy's prompts with these settings, and the places of the settings."""
    return next((arm for arm in prompts.arms if arm.sampler == sampler), prompts)
