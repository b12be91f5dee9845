"""Turn the options of ``--lora-images DIR`` into a run that judges pictures made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.device import choose_device
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Lora, Policy
from lora_checks.core.store import Progress, Store
from lora_checks.gate.run import GateRun, join
from lora_checks.images.elsewhere import OPTION as SOURCE
from lora_checks.images.elsewhere import open_source
from lora_checks.images.provided.made_with import OPTION as MADE_WITH
from lora_checks.images.provided.picture_names import OPTION as FROM
from lora_checks.images.provided.picture_names import read_names
from lora_checks.images.provided.pictures import GivenImages
from lora_checks.images.provided.source import ProvidedImages
from lora_checks.lora.candidates import Candidate, candidates
from lora_checks.lora.find import lora_names

OPTION, BASELINE_OPTION = "--lora-images", "--lora-baseline-images"
GENERATING = {
    "scale": "--lora-scale",
    "with": "--lora-with",
    "base": "--lora-base",
    "until_decided": "--lora-until-decided",
}


@dataclass(frozen=True, slots=True)
class Folder(Candidate):
    """Pictures of a LoRA without its file."""

    def read(self) -> Lora:
        return Lora(self.path, self.name, "", "pictures", (), (), {}, 0)


def provided_candidates(option: Any, here: Path) -> dict[str, Candidate]:
    """Return the LoRA file by its name, or each folder if there is no file. Raises `ConfigError`."""
    folders = _folders(option, here)
    for name, spelling in GENERATING.items():
        if getattr(option, f"lora_{name}", None):
            raise ConfigError(f"{spelling} is for images that the gate generates; leave it out with {OPTION}")
    if not option.lora:
        if option.lora_images_made_with:
            raise ConfigError(f"{MADE_WITH} says what the pictures call the file of --lora; name the file")
        whole = [Path(f"{folder.resolve()}.folder") for folder in folders]  # a folder's name has no ending
        return {name: Folder(name, path) for name, path in zip(lora_names(whole), folders, strict=True)}
    files = candidates(option.lora, None, here)
    if len(files) != 1:
        raise ConfigError(f"{OPTION} holds the pictures of one LoRA, and --lora names {len(files)} files")
    if len(folders) != 1:
        raise ConfigError(
            f"{OPTION} names {len(folders)} folders, and --lora one file: name the folder of its pictures "
            "only, or gate the folders without --lora"
        )
    return files


def open_provided(
    option: Any, here: Path, policy: Policy, store: Path, progress: Callable[[str], Progress]
) -> GateRun:
    """Open a run on pictures made elsewhere.

    Raises `ConfigError` for wrong options; what is wrong inside a folder is a verdict.
    """
    prompts, folders = policy.prompts, _folders(option, here)
    spec, without = _only(FROM, option.lora_images_from), _only(BASELINE_OPTION, option.lora_baseline_images)
    made_with = _only(MADE_WITH, option.lora_images_made_with)
    names = read_names(spec, here, [prompt.id for prompt in prompts.prompts]) if spec is not None else None
    base = _folder(BASELINE_OPTION, without, here) if without is not None else None
    provided = {
        folder: GivenImages(
            folder,
            prompts,
            names,
            base,
            made_with or "",
            tuple(other for other in folders if other != folder),
        )
        for folder in folders
    }
    device = choose_device(option.lora_device)
    return join(policy, Store(store), ProvidedImages(provided), device, progress)


def open_custom(
    option: Any, here: Path, policy: Policy, store: Path, progress: Callable[[str], Progress]
) -> GateRun:
    """Open a run on the images of a source that a package adds. Raises `ConfigError`."""
    if option.lora_images is not None:
        raise ConfigError(f"{OPTION} and {SOURCE} both say where the images are; leave one of them out")
    for name, spelling in GENERATING.items():
        if getattr(option, f"lora_{name}", None):
            raise ConfigError(f"{spelling} is for images that the gate generates; leave it out with {SOURCE}")
    opened = Store(store)
    source = open_source(option.lora_source, here, policy.prompts, opened.root)
    return join(policy, opened, source, choose_device(option.lora_device), progress)


def _only(option: str, values: list[str] | None) -> str | None:
    """Return the only value; refuse several, because pytest would silently take the last."""
    if values and len(values) > 1:
        raise ConfigError(f"{option} is given {len(values)} times; it is for all folders, so give it once")
    return values[0] if values else None


def _folders(option: Any, here: Path) -> list[Path]:
    folders = [_folder(OPTION, text, here) for text in option.lora_images]
    twice = [folder for i, folder in enumerate(folders) if folder.resolve() in map(Path.resolve, folders[:i])]
    if twice:
        raise ConfigError(f"{OPTION}: {twice[0]} is given twice")
    return folders


def _folder(option: str, text: str, here: Path) -> Path:
    if not text.strip():
        raise ConfigError(f"{option}: the argument is empty (an unset variable?); name a folder")
    folder = here / text
    if not folder.is_dir():
        raise ConfigError(f"{option}: {folder} is not a folder; name the folder that holds the pictures")
    return folder
