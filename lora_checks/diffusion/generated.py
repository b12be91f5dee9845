"""Images that the gate generates: planned, made where the store lacks them, and proven to be the LoRA's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.device import library_versions
from lora_checks.core.errors import (
    ConfigError,
    DamagedError,
    GenerationError,
)
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageFile, ImageSet, ImageSpec, Lora, Policy, PromptSet, Proof, digest
from lora_checks.core.store import Progress, Store
from lora_checks.core.words import proven
from lora_checks.diffusion import base, generate, loader, painted, seating
from lora_checks.diffusion.base import ResolvedBase
from lora_checks.diffusion.base.family import classes_of, family_of
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import preflight
from lora_checks.diffusion.proven import Proofs
from lora_checks.diffusion.quantised import networks
from lora_checks.diffusion.renderer import ManyRenderers, Renderer
from lora_checks.diffusion.settled import Settled
from lora_checks.images import decoding, gallery, plan, png
from lora_checks.images.source import Evidence, Shown
from lora_checks.lora.candidates import Candidate
from lora_checks.lora.made_for import doubts
from lora_checks.policy.arms import arm

BLOCKS = "the denoiser's repeated blocks"  # in the record
FIRST, LATER = 0, 1  # order of submitted images: what every LoRA shares, what one LoRA needs
NO_EFFECT = 2  # grey levels; batches of another size move a pixel by one


@dataclass
class GeneratedImages:
    """An `ImageSource` whose images come from one pipeline; the store keeps them for every later run."""

    policy: Policy
    store: Store
    device: str
    dtype: str
    batch_size: int
    progress: Callable[[str], Progress]
    companions: tuple[Lora, ...] = ()
    memory: Memory = field(default_factory=Memory)
    compiled: bool = False  # asked for; `why_plain` may say that it is not
    to_gate: Callable[[], Iterable[Lora]] = tuple  # all LoRAs of the run, whichever process judges them
    say: Callable[[str], None] = lambda _: None
    check: str = "applied"
    caveat: str = ""
    generates: bool = True
    elsewhere: Callable[[], Renderer] | None = None  # the workers of a cluster, once they have started
    _interim: tuple[tuple[str, ...], ...] = ()
    _ahead: Callable[[], Iterable[Lora]] = tuple
    _with_base: bool = False
    _made: set[tuple[str, float]] = field(default_factory=set)  # LoRAs with all their images
    _shown: dict[Path, ImageSet] = field(default_factory=dict)  # by folder

    @cached_property
    def base(self) -> base.ResolvedBase:
        return base.resolve(self.policy.prompts.base, self.store.known_digests)

    @cached_property
    def machine(self) -> plan.Machine:
        return plan.Machine(
            self.base.identity,
            self.device.partition(":")[0],  # workers on two cards share images and proofs
            self.dtype,
            (
                *library_versions(),
                plan.OWN_CODE,
                *networks.versions(self.base.quantised),
                *([plan.AS_WRITTEN] if family_of(self.base.folder).obeys else []),
            ),
            companions=self.companions,
            memory=(*self.memory.pixels, *([plan.COMPILED] if self._compiles else [])),
            seat=f"{plan.SEAT}{self._seating.name}" if self._compiles else "",
        )

    @cached_property
    def studio(self) -> Renderer:
        if self.elsewhere is not None:
            return self.elsewhere()
        return generate.Studio(
            self.base,
            self.policy.prompts,
            self.device,
            self.dtype,
            memory=self.memory,
            companions=self.companions,
            unused_tensors=tuple(self.policy.unused_tensors),
            say=self.say,
            known=self.store.known_digests,
            compiled=self._compiles,
            first=lambda: self._seating.first,
        )

    @cached_property
    def _seating(self) -> seating.Seating:
        return seating.decide(
            tuple(self.to_gate()),
            self.companions,
            self.base.folder,
            self.memory.offload,
            bool(self.base.quantised),
            tuple(self.policy.unused_tensors),
        )

    @property
    def why_plain(self) -> str:
        """Return why this run is not compiled though it was asked for; "" if it is."""
        return self._seating.why_plain

    @property
    def _compiles(self) -> bool:
        return self.compiled and not self.why_plain

    @property
    def facts(self) -> Mapping[str, Any]:
        model = self.policy.prompts.base.model
        return {
            "base": {
                "model": model,
                "digest": self.base.identity,
                "label": self.base.label,
                **self._quantised,
            },
            "dtype": self.dtype,
            "batch_size": self.batch_size,
            "offload": (self.studio if "studio" in vars(self) else self).memory.offload,
            "save_memory": list(self.memory.save),
            "companions": [_companion(lora) for lora in self.companions],
            **({"compiled": f"no: {self.why_plain}" if self.why_plain else BLOCKS} if self.compiled else {}),
        }

    @property
    def _quantised(self) -> dict[str, Any]:
        """How networks of the base are quantised; nothing for a plain base."""
        found = {network.name: network.words for network in self.base.quantised}
        return {"quantization": found} if found else {}

    def preflight(self) -> Sequence[str]:
        networks.check(self.base.quantised, self.base.folder, self.device, self.memory.offload)
        found = _preflight(self.store, self.base, self.policy.prompts, self.memory)
        plain = f"--lora-compile: this run is not compiled: {self.why_plain}" if self.compiled else ""
        return (*found, *_unpaired(self.policy), *([plain] if plain and self.why_plain else []))

    def interim(self, sets: Sequence[Sequence[str]]) -> None:
        self._interim = tuple(map(tuple, sets))

    def ahead(self, loras: Callable[[], Iterable[Lora]], with_base: bool) -> None:
        self._ahead, self._with_base = loras, with_base

    def prove(self, lora: Lora) -> Proof:
        """Measure that the LoRA is on the base as its file says; the store keeps the proof.

        Raises:
            GenerationError, LoraFileError: it is not; names the layer or tensor.
        """
        for companion in self.companions:
            if companion.sha256 == lora.sha256:
                raise ConfigError(f"--lora-with: {companion.path} is the LoRA under test itself")
            self._proofs.of(companion, replace(self.machine, companions=()))
        return self._proofs.of(lora, self.machine)

    @cached_property
    def _proofs(self) -> Proofs:
        return Proofs(self.store, self.studio, tuple(self.policy.unused_tensors))

    @cached_property
    def _settled(self) -> Settled:
        return Settled(self.store, self.studio, self.policy.prompts)

    def evidence(self, lora: Lora) -> Evidence:
        proof = self.prove(lora)
        elsewhere = loader.kept(self.store, lora, self.base, tuple(self.policy.unused_tensors)).words()
        words = (proven(proof), *doubts(lora, *classes_of(self.base.folder)), elsewhere)
        return Evidence("; ".join(words), {"proof": dataclasses.asdict(proof)})

    def candidate(self, lora: Lora, prompts: PromptSet) -> ImageSet:
        """Return the images with the LoRA, proven to be applied; generate those that the store lacks."""
        if isinstance(self.studio, ManyRenderers):
            self.studio.ahead(lambda: self._submitted(prompts))
        images, specs = self._with_lora(lora, prompts)
        without = plan.without_lora(prompts, self.machine)[:1]  # by the LoRA's own sampler
        first = self._images(BASELINE, without, plan.names(prompts)[:1], None, "base")
        if self.studio.crowded() and not self._interim:
            self._make_ahead(prompts)
        self.studio.rest()
        refuse_no_effect(lora, images, first)
        self._show(self.folder(lora), images, specs)
        return images

    def _with_lora(self, lora: Lora, prompts: PromptSet) -> tuple[ImageSet, Sequence[ImageSpec]]:
        self.prove(lora)
        specs = plan.candidate(prompts, self.machine, lora)
        images = self._images("candidate", specs, plan.names(prompts), lora, lora.name)
        self._made.add((lora.sha256, lora.scale))
        return images, specs

    def _make_ahead(self, prompts: PromptSet) -> None:
        """Make the images of the LoRAs to come, so that all weights travel once and not for each LoRA.

        Whatever fails here is tried again, and told, when it is that LoRA's turn.
        """
        for lora in self._ahead():
            if (lora.sha256, lora.scale) not in self._made:
                with suppress(Exception):
                    self._with_lora(lora, prompts)
        if self._with_base:
            specs = plan.baseline(prompts, self.machine)
            self._images(BASELINE, specs, plan.names(prompts), None, "base")

    def _submitted(self, prompts: PromptSet) -> Iterator[None]:
        """Submit what this process will ask for: the base's images, which all LoRAs share, then each LoRA's.

        Blocks are those of `_images`, in the order of the rows, so that each image is made in the same batch.
        Whatever fails here is told when it is asked for.
        """
        assert isinstance(self.studio, ManyRenderers)
        self._settled.refuse_ignored(self.machine)
        first = plan.without_lora(prompts, self.machine)[:1]
        self.studio.submit(first, None, [[0]], FIRST)
        for asked in _asked_of_base(self.policy, prompts) if self._with_base else ():
            specs = plan.counterparts(self.policy.prompts, self.machine, asked)
            self.studio.submit(specs, None, painted.blocks(asked, self.batch_size, self._interim), FIRST)
        names = plan.names(prompts)
        for lora in self._ahead():
            with suppress(Exception):
                self.prove(lora)
                specs = plan.candidate(prompts, self.machine, lora)
                self.studio.submit(specs, lora, painted.blocks(names, self.batch_size, self._interim), LATER)
            yield

    def counterparts(self, images: ImageSet) -> ImageSet:
        names = [image.name for image in images.images]
        specs = plan.counterparts(self.policy.prompts, self.machine, names)
        without = self._images(BASELINE, specs, names, None, "base")
        self.studio.rest()
        return without

    def baseline(self) -> ImageSet:
        """Return the policy's images without the LoRA, kept for every later LoRA of this base."""
        specs = plan.baseline(self.policy.prompts, self.machine)
        images = self._images(BASELINE, specs, plan.names(self.policy.prompts), None, "base")
        self.studio.rest()
        self._show(self.store.shown / gallery.folder_name("base", specs[0].digest), images, specs)
        return images

    def folder(self, lora: Lora) -> Path:
        return self.store.shown / gallery.folder_name(lora.name, lora.sha256)

    def shown(self, candidate: Candidate, sha256: str, names: Sequence[str]) -> Sequence[Shown]:
        bare = plan.counterparts(self.policy.prompts, self.machine, names)
        sampler = self.policy.prompts.sampler
        shown: list[Shown] = []
        for name, without in zip(names, bare, strict=True):
            alone = replace(without, sampler=sampler)
            spec = plan.with_lora(alone, self.machine, sha256, candidate.scale)
            image = _stored(self.store, spec, name)
            if image is not None:
                shown.append(Shown(image, _stored(self.store, without, name), png.recipe(spec)["digest"]))
        return shown

    def _images(
        self, name: str, specs: Sequence[ImageSpec], names: Sequence[str], lora: Lora | None, what: str
    ) -> ImageSet:
        self._settled.refuse_ignored(self.machine)
        together = painted.blocks(names, self.batch_size, self._interim)
        progress = self.progress(f"generating {what}")
        images = painted.painted(self.store, self.studio, specs, names, lora, together, progress)
        return ImageSet(name, images)

    def _show(self, folder: Path, images: ImageSet, specs: Sequence[ImageSpec]) -> None:
        if self._shown.get(folder) == images:  # each row asks
            return
        gallery.show(folder, images, _record(images, specs))
        self._shown[folder] = images


def _asked_of_base(policy: Policy, prompts: PromptSet) -> list[list[str]]:
    """Return the names of the base's images that the rows ask for, row by row, then all of them."""
    seeds, asked = prompts.seeds, list[list[str]]()
    for row in policy.thresholds:
        if row.gain or row.against == BASELINE:
            chosen = [p for p in prompts.prompts if (row.on in p.tags if row.on else not arm(p))]
            asked.append([f"{prompt.id}/{seed}" for prompt in chosen for seed in seeds])
    return [names for names in (*asked, list(plan.names(prompts))) if names]


def _preflight(store: Store, base: ResolvedBase, prompts: PromptSet, memory: Memory) -> tuple[str, ...]:
    """Ask once whether base and prompts suit each other; the store keeps the answer."""
    texts = [(prompt.id, prompt.text, prompt.source) for prompt in prompts.prompts]
    samplers = [arm.sampler for arm in prompts.arms]
    decisive = [base.identity, samplers, sorted(prompts.places.items()), texts, memory]
    path = store.root / "preflight" / f"{digest([*decisive, library_versions()])}.json"

    def ask() -> dict[str, Any]:
        return {"warnings": list(preflight(base, prompts, memory)), "versions": library_versions()}

    return tuple(store.record(path, ask)["warnings"])


def _unpaired(policy: Policy) -> tuple[str, ...]:
    """Warn that gains are over the base at other settings."""
    prompts = policy.prompts
    if not prompts.unpaired or not any(row.gain for row in policy.thresholds):
        return ()
    return (
        f"{prompts.of_base.place('steps')}: {prompts.unpaired}, so a gain compares the means of each prompt "
        "and no pairs of images",
    )


def _record(images: ImageSet, specs: Sequence[ImageSpec]) -> dict[str, Any]:
    return {
        image.name: png.recipe(spec) | {"sha256": image.sha256, "original": str(image.path)}
        for image, spec in zip(images.images, specs, strict=True)
    }


def _companion(lora: Lora) -> dict[str, Any]:
    return {"name": lora.name, "path": str(lora.path), "scale": lora.scale, "sha256": lora.sha256}


def _stored(store: Store, spec: ImageSpec, name: str) -> ImageFile | None:
    """Return None for a picture that has gone or been damaged since it was measured."""
    try:
        return png.stored(store.image(spec.digest), spec, name)
    except (FileNotFoundError, DamagedError):
        return None


def refuse_no_effect(lora: Lora, candidate: ImageSet, baseline: ImageSet) -> None:
    """Raise `GenerationError` if the first image equals the base's: the base would be judged as the LoRA."""
    first, base_first = (
        decoding.pixels_of(images.images[0]).astype(np.int16) for images in (candidate, baseline)
    )
    if int(np.abs(first - base_first).max()) <= NO_EFFECT:
        raise GenerationError(
            f"{lora.path.name} had no effect: with and without it, '{candidate.images[0].name}' is the same "
            "image"
        )
