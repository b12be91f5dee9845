"""``--images DIR``: a bench that judges pictures made elsewhere, and generates and proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lora_checks.core.device import choose_device
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSet, Lora, Policy, PromptSet, Proof
from lora_checks.core.store import Progress, Store
from lora_checks.gate.workbench import Workbench
from lora_checks.images.provided.picture_names import read_names
from lora_checks.images.provided.pictures import GivenImages
from lora_checks.lora.candidates import Candidate, candidates

CAVEAT = "images made elsewhere: that the LoRA was applied is not proven"
GENERATING = {
    "scale": "--lora-scale",
    "with": "--with-lora",
    "base": "--base",
    "until_decided": "--until-decided",
}


@dataclass(frozen=True, slots=True)
class Folder(Candidate):
    """Pictures of a LoRA whose file is not there."""

    def read(self) -> Lora:
        return Lora(self.path, self.name, "", "pictures", (), (), {}, 0)


@dataclass
class GivenBench(Workbench):
    given: GivenImages = field(kw_only=True)

    @property
    def about(self) -> dict[str, str]:
        """For the record of the run."""
        given = self.given
        return {
            "images": str(given.folder),
            "images_from": given.names.text if given.names else "",
            "baseline_images": str(given.without_lora or ""),
            "caveat": CAVEAT,
        }

    def prove(self, lora: Lora) -> Proof:
        del lora
        raise ConfigError(f"{self.given.folder}: {CAVEAT}")

    def candidate(self, lora: Lora, said: PromptSet | None = None) -> ImageSet:
        del said
        return self.given.candidate(lora)

    def baseline(self) -> ImageSet:
        return self.given.baseline()

    def without(self, on: ImageSet) -> ImageSet:
        return self.given.without(on)

    def folder(self, lora: Lora) -> Path:
        del lora
        return self.given.folder

    def _suits_base(self) -> tuple[str, ...]:
        return ()


def given_candidates(option: Any, here: Path) -> dict[str, Candidate]:
    """One: the LoRA file if there is one, and else the folder, by its name. Raises `ConfigError`."""
    folder = _folder("--images", option.lora_images, here)
    for name, spelling in GENERATING.items():
        if getattr(option, f"lora_{name}", None):
            raise ConfigError(f"{spelling} is for images that the gate generates; leave it out with --images")
    if not option.lora:
        name = folder.resolve().name or "images"
        return {name: Folder(name, folder)}
    found = candidates(option.lora, None, here)
    if len(found) != 1:
        raise ConfigError(f"--images holds the pictures of one LoRA, and --lora names {len(found)} files")
    return found


def open_given(
    option: Any, here: Path, policy: Policy, store: Path, progress: Callable[[str], Progress]
) -> GivenBench:
    """Raises `ConfigError`; what is wrong inside the folder is a verdict."""
    prompts = policy.prompts
    spec, without = option.lora_images_from, option.lora_baseline_images
    given = GivenImages(
        _folder("--images", option.lora_images, here),
        prompts,
        read_names(spec, here, [prompt.id for prompt in prompts.prompts]) if spec is not None else None,
        _folder("--baseline-images", without, here) if without is not None else None,
    )
    return GivenBench(policy, Store(store), choose_device(option.lora_device), "", 0, progress, given=given)


def _folder(option: str, given: str, here: Path) -> Path:
    if not given.strip():
        raise ConfigError(f"{option}: the argument is empty (an unset variable?); name a folder")
    folder = here / given
    if not folder.is_dir():
        raise ConfigError(f"{option}: {folder} is no folder; name the folder that holds the pictures")
    return folder
