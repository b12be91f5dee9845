"""Turn the options of ``--lora-images DIR`` into a run that judges pictures made elsewhere."""

from __future__ import annotations

import glob
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lora_checks.core import shards
from lora_checks.core.device import choose_device
from lora_checks.core.errors import ConfigError
from lora_checks.core.records import Lora, Policy, PromptSet
from lora_checks.core.remote.place import Place, open_store
from lora_checks.core.store import Progress
from lora_checks.gate.run import GateRun, join
from lora_checks.images import tables
from lora_checks.images.decoding import SUFFIXES
from lora_checks.images.elsewhere import OPTION as SOURCE
from lora_checks.images.elsewhere import open_source
from lora_checks.images.provided.groups import Group, groups
from lora_checks.images.provided.made_with import OPTION as MADE_WITH
from lora_checks.images.provided.picture_names import OPTION as FROM
from lora_checks.images.provided.picture_names import Names, read_names
from lora_checks.images.provided.pictures import GivenImages
from lora_checks.images.provided.seeds import seeded
from lora_checks.images.provided.source import ProvidedImages
from lora_checks.lora.candidates import Candidate, candidates
from lora_checks.lora.find import lora_names, natural

OPTION, BASELINE_OPTION = "--lora-images", "--lora-baseline-images"
GENERATING = {
    "scale": "--lora-scale",
    "with": "--lora-with",
    "base": "--lora-base",
    "until_decided": "--lora-until-decided",
    "cluster": "--lora-cluster",
}


@dataclass(frozen=True, slots=True)
class Folder(Candidate):
    """Pictures of a LoRA without its file: a folder, or one group of the pictures in it."""

    group: Group | None = None

    def read(self) -> Lora:
        return Lora(self.path, self.name, "", "pictures", (), (), {}, 0, facts=self.facts)


def refuse_generating(option: Any) -> None:
    """Raise `ConfigError` for an option about images that the gate generates."""
    for name, spelling in GENERATING.items():
        if getattr(option, f"lora_{name}", None):
            raise ConfigError(f"{spelling} is for images that the gate generates; leave it out with {OPTION}")


def provided(option: Any, here: Path, policy: Policy) -> tuple[Policy, dict[str, Candidate]]:
    """Return the candidates, and the policy with their seeds if it has none. Raises `ConfigError`."""
    loras = _candidates(option, here, policy.prompts)
    parts = [(lora.path, lora.group) for lora in loras.values() if isinstance(lora, Folder)]
    parts = parts or [(folder, None) for folder in _folders(option, here)]
    prompts = seeded(policy.prompts, parts, _names(option, here, policy.prompts))
    return replace(policy, prompts=prompts), loras


def _candidates(option: Any, here: Path, prompts: PromptSet) -> dict[str, Candidate]:
    """Return the LoRA file by its name; without a file each folder, or each group of a folder's pictures.

    Raises `ConfigError`.
    """
    folders = _folders(option, here)
    if not option.lora:
        if option.lora_images_made_with:
            raise ConfigError(f"{MADE_WITH} says what the pictures call the file of --lora; name the file")
        return _by_group(folders, _names(option, here, prompts))
    files = candidates(option.lora, None, here)
    if len(files) != 1:
        raise ConfigError(f"{OPTION} holds the pictures of one LoRA, and --lora names {len(files)} files")
    if len(folders) != 1:
        raise ConfigError(
            f"{OPTION} names {len(folders)} folders, and --lora one file: name the folder of its pictures "
            "only, or gate the folders without --lora"
        )
    return files


def _by_group(folders: Sequence[Path], names: Names | None) -> dict[str, Candidate]:
    """Name each folder after itself, and each of several groups in a folder after LoRA and step."""
    divided = [(folder, groups(folder, names)) for folder in folders]
    parts = [(folder, group, len(of)) for folder, of in divided for group in (of or (None,))]
    whole = [
        Path(f"{folder.resolve()}/{group.named(folder)}.group")
        if group and several > 1
        else Path(f"{folder.resolve()}.folder")  # a folder's name has no ending
        for folder, group, several in parts
    ]
    return {
        name: Folder(
            name,
            folder,
            facts=group.facts(folder, several > 1) if group else {},
            keys=dict(group.keys) if group else {},
            group=group if several > 1 else None,
        )
        for name, (folder, group, several) in zip(lora_names(whole), parts, strict=True)
    }


def open_provided(
    option: Any,
    here: Path,
    policy: Policy,
    store: Path | Place,
    progress: Callable[[str], Progress],
    loras: Mapping[str, Candidate],
) -> GateRun:
    """Open a run on pictures made elsewhere.

    Raises `ConfigError` for wrong options; what is wrong inside a folder is a verdict.
    """
    folders, names = _folders(option, here), _names(option, here, policy.prompts)
    without = _only(BASELINE_OPTION, option.lora_baseline_images)
    made_with = _only(MADE_WITH, option.lora_images_made_with)
    base = _folder(BASELINE_OPTION, without, here) if without is not None else None
    given = {}
    for name, lora in loras.items():
        folder = lora.path if isinstance(lora, Folder) else folders[0]
        given[name] = GivenImages(
            folder,
            policy.prompts,
            names,
            base,
            made_with or "",
            tuple(other for other in folders if other != folder),
            lora.group if isinstance(lora, Folder) else None,
        )
    device = choose_device(option.lora_device)
    return join(policy, open_store(store, device), ProvidedImages(given), device, progress)


def _names(option: Any, here: Path, prompts: PromptSet) -> Names | None:
    spec = _only(FROM, option.lora_images_from)
    return None if spec is None else read_names(spec, here, [prompt.id for prompt in prompts.prompts])


def open_custom(
    option: Any, here: Path, policy: Policy, store: Path | Place, progress: Callable[[str], Progress]
) -> GateRun:
    """Open a run on the images of a source that a package adds. Raises `ConfigError`."""
    if option.lora_images is not None:
        raise ConfigError(f"{OPTION} and {SOURCE} both say where the images are; leave one of them out")
    for name, spelling in GENERATING.items():
        if getattr(option, f"lora_{name}", None):
            raise ConfigError(f"{spelling} is for images that the gate generates; leave it out with {SOURCE}")
    device = choose_device(option.lora_device)
    opened = open_store(store, device)
    source = open_source(option.lora_source, here, policy.prompts, opened.root)
    return join(policy, opened, source, device, progress)


def _only(option: str, values: list[str] | None) -> str | None:
    """Return the only value; refuse several, because pytest would silently take the last."""
    if values and len(values) > 1:
        raise ConfigError(f"{option} is given {len(values)} times; it is for all folders, so give it once")
    return values[0] if values else None


def _folders(option: Any, here: Path) -> list[Path]:
    folders = [folder for text in option.lora_images for folder in _matching(text, here)]
    twice = [folder for i, folder in enumerate(folders) if folder.resolve() in map(Path.resolve, folders[:i])]
    if twice:
        raise ConfigError(f"{OPTION}: {twice[0]} is given twice")
    return folders


def _matching(text: str, here: Path) -> list[Path]:
    """Return the folder, or those that a pattern such as ``exp_e*/`` matches, in natural order."""
    _refuse_collection(OPTION, here / text)
    if not glob.has_magic(text) or (here / text).is_dir():
        return [_folder(OPTION, text, here)]
    paths = [Path(name) for name in glob.glob(str(here / text), recursive=True)]  # noqa: PTH207
    folders = sorted((path for path in paths if path.is_dir()), key=natural)
    if not folders:
        raise ConfigError(f"{OPTION}: no folder matches '{text}' ({here / text})")
    return folders


def _refuse_collection(option: str, path: Path) -> None:
    """Raise `ConfigError` for what references may be: files that hold many pictures (decision 69)."""
    if path.is_file() and path.name.endswith((".tar", *shards.COMPRESSED)):
        way_out = (
            f"unpack it and name the folder: mkdir samples && tar -xf {shlex.quote(str(path))} -C samples"
        )
    elif shards.holds_pictures(path) and ".tar" in path.name:
        way_out = "unpack the tars, and name the folder with their pictures"
    elif shards.holds_pictures(path) or tables.is_saved(path):
        way_out = (
            "rows of a table have no file names, and its pictures often no metadata; name the folder of "
            "the files that it was made from"
        )
    else:
        return
    raise ConfigError(f"{option}: {path}: pictures made elsewhere are read from folders; {way_out}")


def _folder(option: str, text: str, here: Path) -> Path:
    if not text.strip():
        raise ConfigError(f"{option}: the argument is empty (an unset variable?); name a folder")
    folder = here / text
    _refuse_collection(option, folder)
    if not folder.is_dir():
        raise ConfigError(f"{option}: {folder} is not a folder; name the folder that holds the pictures")
    deeper = [path for path in sorted(folder.iterdir(), key=natural) if path.is_dir() and _pictures(path)]
    if deeper and not _pictures(folder):
        raise ConfigError(
            f"{option}: {folder} holds no pictures, but its folders do ({deeper[0].name}); "
            f"to gate each of them write '{Path(text) / '*'}/'"
        )
    return folder


def _pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())
