"""Read folders of pictures that other programs made, instead of generating images.

A folder must hold exactly one picture for each prompt and seed of the policy. A picture's seed may be the
policy's (0, 1, ...) or the noise seed that the gate derives from it (`plan.noise_seed`). If the
seeds are unknown, the pictures of a prompt get its seeds in the order of their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageFile, ImageSet, Lora, PromptSet
from lora_checks.core.records.policies import UNKNOWN
from lora_checks.core.words import count
from lora_checks.images import decoding as images
from lora_checks.images import plan
from lora_checks.images.provided import comfyui, looks, made_with
from lora_checks.images.provided.groups import Group, chosen
from lora_checks.images.provided.picture import Picture, numbered, read_pictures
from lora_checks.images.provided.picture_names import OPTION, Listed, Names
from lora_checks.lora.find import natural

SOUGHT = (
    "text of lora_checks, A1111 and Fooocus and SwarmUI ('parameters'), ComfyUI ('prompt') and InvokeAI in "
    "PNG, or theirs in EXIF"
)
BATCH = "ComfyUI writes a batch's first seed into each file"


@dataclass(frozen=True, slots=True)
class Folder:
    """A complete folder."""

    images: ImageSet
    pictures: tuple[Picture, ...]  # in the order of the images
    seeds_told: bool  # every picture's seed is known; False: inferred from the order of names
    ignored: int  # files and folders that are not pictures
    older: int  # pictures older than the LoRA file


@dataclass
class GivenImages:
    """A folder of ``--lora-images`` and that of ``--lora-baseline-images``, each read once, when needed."""

    folder: Path
    prompts: PromptSet
    names: Names | None = None
    without_lora: Path | None = None
    made_with: str = ""  # the pictures' name for the LoRA, as the user states it
    siblings: tuple[Path, ...] = ()  # other folders, whose pictures the list may name too
    group: Group | None = None  # the part of the folder that is this LoRA's; None: all of it
    _folders: dict[tuple[Path, str], Folder] = field(default_factory=dict)

    def candidate(self, lora: Lora) -> ImageSet:
        """Return the pictures; raise `MeasureError` if they are not those that the policy asks for."""
        if isinstance(self.names, Listed):
            folders = (self.folder, self.without_lora, *self.siblings)
            self.names.refuse_absent([folder for folder in folders if folder])
        return self._read(self.folder, "candidate", lora).images

    def holds(self, path: Path) -> bool:
        """Tell whether a picture is this LoRA's."""
        return path.parent == self.folder and path in chosen([path], self.names, self.group)

    def baseline(self) -> ImageSet:
        if self.without_lora is None:
            raise ConfigError(
                "this needs the pictures of the same prompts and seeds without the LoRA: pass "
                "--lora-baseline-images DIR"
            )
        return self._read(self.without_lora, BASELINE, None).images

    def without(self, on: ImageSet) -> ImageSet:
        """Return the counterpart of each image."""
        whole = {image.name: image for image in self.baseline().images}
        for (folder, _), contents in self._folders.items():
            if not contents.seeds_told:
                raise MeasureError(
                    f"{folder}: the pictures' seeds are unknown, so it is unknown which of them start "
                    f"from the same noise with and without the LoRA; name the seeds with {OPTION}"
                )
        counterparts = ImageSet(BASELINE, tuple(whole[image.name] for image in on.images))
        looks.refuse_unchanged(on, counterparts)
        return counterparts

    def described(self, lora: Lora) -> str:
        """Decode every picture and describe the folder: "16 pictures, 2 other files ignored"."""
        folder = self._read(self.folder, "candidate", lora)
        sizes = looks.sizes(folder.images)
        odd = looks.unlike(sizes, self.prompts.sampler) if self.prompts.sampler != UNKNOWN else ""
        parts = [count(len(folder.images.images), "picture"), "made elsewhere"]
        parts += [f"{count(folder.ignored, 'other file')} ignored"] if folder.ignored else []
        parts += [f"{folder.older} older than {lora.path.name}: made with it?"] if folder.older else []
        parts += [odd] if odd else []
        parts += made_with.summary(folder.pictures, lora, self.made_with)
        parts += _overruled(folder.pictures)
        return ", ".join(parts)

    def words(self, lora: Lora) -> dict[str, dict[str, str]]:
        """Return image name -> the sources of its prompt, seed and LoRA, for the record."""
        folder = self._read(self.folder, "candidate", lora)
        wanted = made_with.Wanted.of(lora, self.made_with) if lora.sha256 else None
        return {picture.name: _recorded(picture, wanted) for picture in folder.pictures}

    def _read(self, folder: Path, name: str, lora: Lora | None) -> Folder:
        if (folder, name) not in self._folders:
            group = self.group if lora is not None else None
            self._folders[folder, name] = read(
                folder, name, self.prompts, self.names, lora, self.made_with, group
            )
        return self._folders[folder, name]


def read(
    folder: Path,
    name: str,
    prompts: PromptSet,
    names: Names | None,
    lora: Lora | None,
    by_word: str = "",
    group: Group | None = None,
) -> Folder:
    """Read a folder; ``lora`` is None for pictures without one. Raise `MeasureError` or `ConfigError`."""
    everything = sorted(images.list_images(folder), key=natural)
    paths = chosen(everything, names, group)
    asked = replace(prompts, seeds=prompts.seeds[:1]) if prompts.counted else prompts
    pictures = read_pictures(paths, asked, names)
    if prompts.counted:
        pictures = [replace(picture, seed=None, seed_told=False) for picture in pictures]
    _refuse_untold([picture for picture in pictures if not picture.is_told], names)
    seeds_told = all(picture.seed_told for picture in pictures)
    pictures = numbered(pictures, prompts)
    files = {picture.path: images.image_file(picture.path) for picture in pictures}
    _refuse(folder, pictures, files, prompts, made_with.stale(pictures, lora, by_word))
    by_name = {picture.name: picture for picture in pictures}
    made = tuple(by_name[key] for key in plan.names(prompts))
    listed = tuple(replace(files[p.path], name=p.name, prompt=p.prompt, seed=p.seed) for p in made)
    ignored = sum(1 for _ in folder.iterdir()) - len(everything)
    return Folder(ImageSet(name, listed), made, seeds_told, ignored, _older(paths, lora))


def _recorded(picture: Picture, wanted: made_with.Wanted | None) -> dict[str, str]:
    loras = ", ".join(map(str, picture.origin.on))
    why = made_with.unknown(picture.origin)
    return {
        **picture.words,
        "lora": f"unknown: {why}" if why else loras,
        "lora_by": made_with.lora_by(picture.origin, wanted),
    }


def _overruled(pictures: Sequence[Picture]) -> list[str]:
    """Say how many seeds differ from the metadata and how many prompts a style expanded."""
    seeds = [picture for picture in pictures if picture.metadata_seed is not None]
    styled = [picture for picture in pictures if picture.origin.style]
    by = f"{seeds[0].seed_by}, not their metadata" if seeds else ""
    notes = [f"seed of {len(seeds)} according to the user ({by})"] if seeds else []
    return notes + ([f"prompt of {len(styled)} expanded by styles"] if styled else [])


def _older(paths: Sequence[Path], lora: Lora | None) -> int:
    """Count pictures older than the LoRA; only a hint, because copying a file changes its time."""
    if lora is None or not lora.path.is_file():
        return 0
    return sum(path.stat().st_mtime < lora.path.stat().st_mtime for path in paths)


def _refuse_untold(pictures: Sequence[Picture], names: Names | None) -> None:
    if pictures:
        more = f", and so are those of {len(pictures) - 1} more" if len(pictures) > 1 else ""
        sought = f"{OPTION} {names.text} and " if names else ""
        raise MeasureError(
            f"{pictures[0].path}: its prompt is unknown{more}; looked for {sought}{SOUGHT}; "
            f"name prompts by a pattern or a CSV file with {OPTION}"
        )


def _refuse(
    folder: Path,
    pictures: Sequence[Picture],
    files: dict[Path, ImageFile],
    prompts: PromptSet,
    stale: Sequence[str],
) -> None:
    """Raise one `MeasureError` with everything that is wrong with the folder."""
    wanted = plan.names(prompts)
    there = {picture.name for picture in pictures}
    missing = [name for name in wanted if name not in there]
    troubles = [
        f"{len(missing)} of {len(wanted)} pictures are missing ({_sample(missing)})" if missing else "",
        _counted("surplus", _surplus(pictures, prompts) + _copies(pictures, files)),
        _counted("stale", stale),
    ]
    if any(troubles):
        raise MeasureError(f"{folder}: {'; '.join(trouble for trouble in troubles if trouble)}")


def _counted(what: str, files: Sequence[str]) -> str:
    return f"{len(files)} {'is' if len(files) == 1 else 'are'} {what} ({files[0]})" if files else ""


def _sample(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _surplus(pictures: Iterable[Picture], prompts: PromptSet) -> list[str]:
    sentences, seen = [], dict[str, Picture]()
    for picture in pictures:
        if picture.prompt is None:
            sentences.append(f"{picture.path.name}: {picture.stranger}")
        elif picture.seed not in prompts.seeds:
            seed = "no seed is left" if picture.seed is None else f"seed {picture.seed} is not asked for"
            sentences.append(f"{picture.path.name}: prompt '{picture.prompt.id}', {seed}")
        elif picture.name in seen:
            first = seen[picture.name]
            sentences.append(
                f"{picture.path.name}: {picture.name} is {first.path.name} already{_why(first, picture)}"
            )
        seen.setdefault(picture.name, picture)
    return sentences


def _why(first: Picture, second: Picture) -> str:
    """Explain why two pictures may have the same prompt and seed, and how to distinguish them."""
    if second.step:
        return f", steps {first.step} and {second.step}"
    if second.seed_by != comfyui.SOURCE:
        return ""
    return f"; {BATCH}: tell them apart with {OPTION}, a CSV or a pattern such as {{prompt}}_{{seed}}"


def _copies(pictures: Sequence[Picture], files: dict[Path, ImageFile]) -> list[str]:
    """Return pictures with the bytes of another one, which would count twice."""
    first: dict[str, Picture] = {}
    sentences = []
    for picture in pictures:
        before = first.setdefault(files[picture.path].sha256, picture)
        if before.name != picture.name:
            sentences.append(f"{picture.path.name}: the same bytes as {before.path.name}")
    return sentences
