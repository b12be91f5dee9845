"""Images made elsewhere, as an `ImageSource`: nothing is generated or proven."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, LoraChecksError
from lora_checks.core.records import ImageFile, ImageSet, Lora, PromptSet, Proof
from lora_checks.images.provided.pictures import GivenImages
from lora_checks.images.source import CAVEAT, Evidence, Shown
from lora_checks.lora.candidates import Candidate


@dataclass
class ProvidedImages:
    """Folders of pictures; each, or each group in it, is one candidate, like each file of ``--lora``."""

    folders: dict[str, GivenImages]  # by the candidate's name
    check: str = "images"
    caveat: str = CAVEAT
    generates: bool = False

    @property
    def facts(self) -> Mapping[str, Any]:
        first = self._first
        about = {
            "images": ", ".join(dict.fromkeys(str(given.folder) for given in self.folders.values())),
            "images_from": first.names.text if first.names else "",
            "baseline_images": str(first.without_lora or ""),
            "made_with": first.made_with,
            "caveat": self.caveat,
        }
        return {"elsewhere": about, "companions": []}

    def preflight(self) -> Sequence[str]:
        """Return no warning: whatever is wrong inside a folder is a verdict."""
        return ()

    def interim(self, sets: Sequence[Sequence[str]]) -> None:
        """Change nothing: the pictures exist already."""

    def ahead(self, loras: Callable[[], Iterable[Lora]], with_base: bool) -> None:
        """Change nothing: no pipeline has to come and go."""

    def prove(self, lora: Lora) -> Proof:
        raise ConfigError(f"{self._of(lora).folder}: {self.caveat}")

    def evidence(self, lora: Lora) -> Evidence:
        """Decode each picture, and record who states its prompt, seed and LoRA."""
        folder = self._of(lora)
        images = folder.candidate(lora).images  # first: it refuses a folder that is not complete
        sentence, words = folder.described(lora), folder.words(lora)
        pictures = {
            image.name: {"file": image.path.name, "sha256": image.sha256, **words[image.name]}
            for image in images
        }
        return Evidence(sentence, {"pictures": pictures})

    def candidate(self, lora: Lora, prompts: PromptSet) -> ImageSet:
        """Return the folder's pictures, which are those of ``prompts``: the policy's own."""
        del prompts
        return self._of(lora).candidate(lora)

    def counterparts(self, images: ImageSet) -> ImageSet:
        first = images.images[0].path if images.images else None
        of = next((given for given in self.folders.values() if first and given.holds(first)), self._first)
        return of.without(images)

    def baseline(self) -> ImageSet:
        return self._first.baseline()

    def folder(self, lora: Lora) -> Path:
        return self._of(lora).folder

    def shown(self, candidate: Candidate, sha256: str, names: Sequence[str]) -> Sequence[Shown]:
        del sha256, names  # the whole folder was judged
        lora = candidate.read()
        images = self._of(lora).candidate(lora)
        try:
            bases: Sequence[ImageFile | None] = self.counterparts(images).images
        except LoraChecksError:  # no pictures without the LoRA were provided
            bases = [None] * len(images.images)
        return [Shown(image, base, "") for image, base in zip(images.images, bases, strict=True)]

    def _of(self, lora: Lora) -> GivenImages:
        """Return the LoRA's folder: its own, or the only one if the LoRA is a file."""
        return self.folders.get(lora.name) or self._first

    @property
    def _first(self) -> GivenImages:
        return next(iter(self.folders.values()))
