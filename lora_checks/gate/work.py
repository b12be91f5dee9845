"""Estimate what a run will generate, and say it and what it takes to pass before the run starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lora_checks.core.device import hardware
from lora_checks.core.errors import LoraChecksError, LoraFileError
from lora_checks.core.memory import gib
from lora_checks.core.progress import duration
from lora_checks.core.records import ImageSpec, Threshold
from lora_checks.core.words import count
from lora_checks.diffusion.base.family import family_of
from lora_checks.diffusion.base.room import Room, device_room
from lora_checks.diffusion.generated import GeneratedImages
from lora_checks.gate import expected
from lora_checks.gate.run import GateRun, needs_base
from lora_checks.images import made, plan
from lora_checks.judge import cost, prospect
from lora_checks.judge.controls import MOST
from lora_checks.lora.candidates import Candidate

PIXEL_BYTES = 1.5  # of a PNG, for each pixel


@dataclass(frozen=True, slots=True)
class Work:
    """The images that a run needs at most, and what they take."""

    of_lora: int  # images of each LoRA
    of_base: int
    loras: int
    stored: int  # of all of them, those that the store has
    seconds: float | None  # of one, as measured on this machine; None if none was made yet
    expected: float | None  # seconds of one, by computation; None where base or device is not known
    size: int  # bytes of all of them

    @property
    def images(self) -> int:
        return self.loras * self.of_lora + self.of_base

    @property
    def left(self) -> int:
        """The number of images to make."""
        return max(0, self.images - self.stored)

    @property
    def words(self) -> str:
        """How many are left to make, the time that takes, and the disk space of all."""
        if not self.left:
            return "all made before"
        time = "how long one takes here is not known yet"
        if self.seconds is not None:
            time = f"{self.seconds:.1f} s each here before: about {duration(self.seconds * self.left)}"
        elif self.expected is not None:
            time = (
                f"by computation {self.expected:.2g} s each on this GPU: about "
                f"{duration(self.expected * self.left)}; the first image will show it"
            )
        return f"{self.left} to make; {time}; about {gib(self.size)} on disk"


def work(run: GateRun, source: GeneratedImages, loras: Sequence[Candidate]) -> Work:
    """Count the images of the LoRAs, or of one that is not named yet, without making any."""
    prompts = run.policy.prompts
    alone, pair = plan.baseline(prompts, source.machine), any(map(needs_base, run.policy.thresholds))
    of_lora = run.most or len(alone)
    of_base = of_lora if pair else min(of_lora, _tried_on_base(run.policy.thresholds))
    sampler = prompts.sampler
    images = max(1, len(loras)) * of_lora + of_base
    return Work(
        of_lora=of_lora,
        of_base=of_base,
        loras=max(1, len(loras)),
        stored=_stored(run, [*alone[: len(alone) if pair else of_base], *_planned(run, source, loras)]),
        seconds=made.seconds(run.store, alone[0]),
        expected=expected.seconds(family_of(source.base.folder).pipeline, hardware(run.device), sampler),
        size=int(images * sampler.width * sampler.height * PIXEL_BYTES),
    )


def _planned(run: GateRun, source: GeneratedImages, loras: Sequence[Candidate]) -> list[ImageSpec]:
    specs: list[ImageSpec] = []
    for candidate in loras:
        try:
            specs += plan.candidate(run.policy.prompts, source.machine, candidate.read())
        except LoraFileError:
            continue  # its row says so
    return specs


def _stored(run: GateRun, specs: Sequence[ImageSpec]) -> int:
    return sum(run.store.have([run.store.image(spec.digest) for spec in specs]))


def _tried_on_base(rows: Sequence[Threshold]) -> int:
    """Return how many images of the base a run makes that judges no row by them."""
    controls = {control for row in rows if row.question for control in row.question.controls}
    return MOST if {"base", "other_prompt"} & controls else 1


def memory(source: GeneratedImages) -> str:
    """Say what the base's weights take, and what the device has. Raises `NoRoomError` if they do not fit."""
    said: list[str] = []
    room = Room(source.base, source.device, source.dtype, source.memory)
    room = replace(room, memory=room.settled(said.append))
    room.refuse()
    total = sum(part.size for part in room.parts.values())
    there = device_room(room.device)
    free = "" if there is None else f"; {room.device} has {gib(there[0])} free of {gib(there[1])}"
    return "; ".join([f"the base's weights take {gib(total)} in {room.dtype}{free}", *said])


def lines(run: GateRun, loras: Sequence[Candidate]) -> list[str]:
    """Return what people should know before a run starts."""
    return [*_generated(run, loras), *(sentence for _, sentence in questions(run, len(loras)))]


def questions(run: GateRun, loras: int) -> list[tuple[str, str]]:
    """Return each vision model's name in the policy, and what it will be asked about so many LoRAs.

    Raises:
        ConfigError, PrerequisiteError: A network cannot be set up.
    """
    models = run.measurer.vision_models().items()
    return [
        (slot, cost.sentence(model, run.measurer.expected(slot, model, max(1, loras)), run.store))
        for slot, model in models
    ]


def _generated(run: GateRun, loras: Sequence[Candidate]) -> list[str]:
    source = run.source
    if not isinstance(source, GeneratedImages):
        return []
    asked = work(run, source, loras)
    parts = [f"{count(asked.images, 'image')} at most, {asked.words}"]
    try:
        parts.append(memory(source))
    except LoraChecksError as error:  # memory that became short since the preflight
        parts.append(str(error))
    needs = [] if run.most else prospect.sentences(run.policy)  # interim analyses share the error
    return ["; ".join(parts), *(f"to pass: {sentence}" for sentence in needs)]
