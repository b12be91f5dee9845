"""Pictures that something else made, in the place of those that the gate would generate.

They are read as the policy's plan asks for them: one picture of each prompt and seed, no more and no fewer.
A picture's seed may be the policy's own (0, 1, ...) or the noise seed that the gate derives from it
(`plan.noise_seed`). Where nothing tells the seed, the pictures of a prompt are its seeds in order of name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.core.quantity import BASELINE
from lora_checks.core.records import ImageFile, ImageSet, Lora, Prompt, PromptSet
from lora_checks.core.words import count
from lora_checks.images import decoding as images
from lora_checks.images import plan
from lora_checks.images.provided import looks
from lora_checks.images.provided.origin import Origin, plain, read_origin
from lora_checks.images.provided.picture_names import OPTION, Listed, Names
from lora_checks.lora.find import natural

T = TypeVar("T")
SOUGHT = "PNG text of lora_checks, of A1111 ('parameters') or of ComfyUI ('prompt'), or either's EXIF"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the folder, and what the policy calls it."""

    path: Path
    origin: Origin
    prompt: Prompt | None
    seed: int | None = None  # the policy's
    unnamed: str = ""  # why no prompt was looked for

    @property
    def name(self) -> str:
        return f"{self.prompt.id if self.prompt else ''}/{self.seed}"

    @property
    def called(self) -> str:
        return self.name if self.seed is not None else self.name.removesuffix("/None")


@dataclass(frozen=True, slots=True)
class Found:
    """A folder that is complete."""

    images: ImageSet
    seeds_told: bool  # whether every picture's seed is known, and not only its place among its prompt's
    ignored: int  # files and folders that are no pictures
    older: int  # pictures older than the LoRA file
    renamed: str  # another name than the LoRA file's, by which the pictures call their LoRA


@dataclass
class GivenImages:
    """``--images DIR``, and ``--baseline-images DIR``: read once, when first asked for."""

    folder: Path
    prompts: PromptSet
    names: Names | None = None
    without_lora: Path | None = None
    _found: dict[tuple[Path, str], Found] = field(default_factory=dict)

    def candidate(self, lora: Lora) -> ImageSet:
        """Raises `MeasureError` if the pictures are not those that the policy asks for."""
        if isinstance(self.names, Listed):
            self.names.refuse_absent([folder for folder in (self.folder, self.without_lora) if folder])
        return self._read(self.folder, "candidate", lora).images

    def baseline(self) -> ImageSet:
        if self.without_lora is None:
            raise ConfigError(
                "this needs the pictures without the LoRA, of the same prompts and seeds: pass "
                "--baseline-images DIR"
            )
        return self._read(self.without_lora, BASELINE, None).images

    def without(self, on: ImageSet) -> ImageSet:
        """The counterpart of each image."""
        whole = {image.name: image for image in self.baseline().images}
        for (folder, _), found in self._found.items():
            if not found.seeds_told:
                raise MeasureError(
                    f"{folder}: nothing tells the pictures' seeds, so which of them start from the same "
                    f"noise with and without the LoRA is not known; name the seeds with {OPTION}"
                )
        counterparts = ImageSet(BASELINE, tuple(whole[image.name] for image in on.images))
        looks.refuse_unchanged(on, counterparts)
        return counterparts

    def described(self, lora: Lora) -> str:
        """ "16 pictures, 2 other files ignored", after each of them was decoded."""
        found = self._read(self.folder, "candidate", lora)
        odd = looks.unlike(looks.sizes(found.images), self.prompts.sampler)
        parts = [count(len(found.images.images), "picture"), "made elsewhere"]
        parts += [f"{count(found.ignored, 'other file')} ignored"] if found.ignored else []
        parts += [f"{found.older} older than {lora.path.name}: made with it?"] if found.older else []
        parts += [odd] if odd else []
        parts += [f"made with {found.renamed} by their own word"] if found.renamed else []
        return ", ".join(parts)

    def _read(self, folder: Path, name: str, lora: Lora | None) -> Found:
        if (folder, name) not in self._found:
            self._found[folder, name] = read(folder, name, self.prompts, self.names, lora)
        return self._found[folder, name]


def read(folder: Path, name: str, prompts: PromptSet, names: Names | None, lora: Lora | None) -> Found:
    """``lora`` is None for pictures made without one. Raises `MeasureError` or `ConfigError`."""
    paths = sorted(images.list_images(folder), key=natural)
    pictures = [_picture(path, prompts, names) for path in paths]
    _refuse_untold([picture for picture in pictures if not _told(picture)], names)
    seeds_told = all(picture.origin.seed is not None for picture in pictures)
    pictures = _numbered(pictures, prompts)
    files = {picture.path: images.image_file(picture.path) for picture in pictures}
    _refuse(folder, pictures, files, prompts, lora)
    by_name = {picture.name: picture for picture in pictures}
    made = [by_name[each] for each in plan.names(prompts)]
    found = tuple(replace(files[p.path], name=p.name, prompt=p.prompt, seed=p.seed) for p in made)
    ignored = sum(1 for _ in folder.iterdir()) - len(paths)
    return Found(ImageSet(name, found), seeds_told, ignored, _older(paths, lora), _renamed(pictures, lora))


def _renamed(pictures: Sequence[Picture], lora: Lora | None) -> str:
    """A hint and no more: a file may have been renamed. Where a digest tells the LoRA it is not needed."""
    unknown = [picture.origin.named for picture in pictures if picture.origin.loras == ("",)]
    if lora is None or not lora.sha256 or all(lora.path.stem in named for named in unknown):
        return ""
    return _called(unknown[0])


def _older(paths: Sequence[Path], lora: Lora | None) -> int:
    """A hint and no more: copying a file makes it younger."""
    if lora is None or not lora.path.is_file():
        return 0
    return sum(path.stat().st_mtime < lora.path.stat().st_mtime for path in paths)


def _picture(path: Path, prompts: PromptSet, names: Names | None) -> Picture:
    """What the names say goes before what the file says; the two must not say different prompts."""
    inside = read_origin(path)
    named = names.origin(path) if names else None
    if names and named is None:
        return Picture(path, inside, None, unnamed=f"{OPTION} {names.text} does not name it")
    if named is None:
        return _seeded(path, inside, _prompt(inside, prompts), prompts)
    within, prompt = _prompt(inside, prompts), _prompt(named, prompts)
    _refuse_contradiction(
        _seeded(path, named, prompt, prompts), _seeded(path, inside, within, prompts), prompts
    )
    says = bool(named.prompt) or named.place is not None
    merged = replace(
        inside,
        prompt=named.prompt if says else inside.prompt,
        place=named.place,
        seed=inside.seed if named.seed is None else named.seed,
        step=named.step,
        source=named.source,
    )
    return _seeded(path, merged, prompt if says else within, prompts)


def _refuse_contradiction(named: Picture, inside: Picture, prompts: PromptSet) -> None:
    """A list may map seeds of its own to the policy's, but not one of the policy's to another."""
    if not named.prompt or not inside.prompt:
        return
    swapped = named.seed is not None and inside.seed in prompts.seeds and inside.seed != named.seed
    if swapped or named.prompt != inside.prompt:
        raise MeasureError(
            f"{named.path}: {named.origin.source} says {named.called}, {inside.origin.source} {inside.called}"
        )


def _seeded(path: Path, origin: Origin, prompt: Prompt | None, prompts: PromptSet) -> Picture:
    seed = _seed(origin.seed, prompt, prompts)
    if seed is None and prompt and origin.place is not None:
        seed = prompts.seeds[origin.place % len(prompts.seeds)]
    return Picture(path, origin, prompt, seed)


def _prompt(origin: Origin, prompts: PromptSet) -> Prompt | None:
    """By id, by text, or by place."""
    if origin.place is not None:
        asked = [prompt for prompt in prompts.prompts for _ in prompts.seeds]
        return asked[origin.place] if origin.place < len(asked) else None
    text = plain(origin.prompt)
    by_id = [prompt for prompt in prompts.prompts if prompt.id == origin.prompt]
    return next(
        iter(by_id + [prompt for prompt in prompts.prompts if text and plain(prompt.text) == text]), None
    )


def _seed(said: int | None, prompt: Prompt | None, prompts: PromptSet) -> int | None:
    if said is None or prompt is None or said in prompts.seeds:
        return said
    return next((seed for seed in prompts.seeds if plan.noise_seed(prompt, seed) == said), said)


def _told(picture: Picture) -> bool:
    return bool(picture.origin.prompt or picture.unnamed) or picture.origin.place is not None


def _refuse_untold(pictures: Sequence[Picture], names: Names | None) -> None:
    if pictures:
        more = f", nor of {len(pictures) - 1} more" if len(pictures) > 1 else ""
        sought = f"{OPTION} {names.text} and " if names else ""
        raise MeasureError(
            f"{pictures[0].path}: its prompt cannot be told{more}; looked for {sought}{SOUGHT}; "
            f"name prompts by a pattern or a CSV file with {OPTION}"
        )


def _numbered(pictures: Sequence[Picture], prompts: PromptSet) -> list[Picture]:
    """Where no seed is told: the k-th picture of a prompt is of its k-th seed, a picture too many of none."""
    told = {picture.prompt for picture in pictures if picture.seed is not None}
    left = {prompt: list(prompts.seeds) for prompt in prompts.prompts if prompt not in told}
    numbered = []
    for picture in pictures:
        seeds = left.get(picture.prompt) if picture.prompt and picture.seed is None else None
        numbered.append(replace(picture, seed=seeds.pop(0)) if seeds else picture)
    return numbered


def _refuse(
    folder: Path,
    pictures: Sequence[Picture],
    files: dict[Path, ImageFile],
    prompts: PromptSet,
    lora: Lora | None,
) -> None:
    """One sentence for all that is wrong with the folder."""
    wanted = plan.names(prompts)
    there = {picture.name for picture in pictures}
    missing = [name for name in wanted if name not in there]
    troubles = [
        f"{len(missing)} of {len(wanted)} pictures are missing ({_sample(missing)})" if missing else "",
        _counted("surplus", _surplus(pictures, prompts) + _copies(pictures, files)),
        _counted("stale", _stale(pictures, lora)),
    ]
    if any(troubles):
        raise MeasureError(f"{folder}: {'; '.join(trouble for trouble in troubles if trouble)}")


def _counted(what: str, found: Sequence[str]) -> str:
    return f"{len(found)} {'is' if len(found) == 1 else 'are'} {what} ({found[0]})" if found else ""


def _sample(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _surplus(pictures: Iterable[Picture], prompts: PromptSet) -> list[str]:
    found, seen = [], dict[str, Picture]()
    for picture in pictures:
        if picture.prompt is None:
            found.append(f"{picture.path.name}: {picture.unnamed or _stranger(picture.origin)}")
        elif picture.seed not in prompts.seeds:
            seed = "no seed is left" if picture.seed is None else f"seed {picture.seed} is not asked for"
            found.append(f"{picture.path.name}: prompt '{picture.prompt.id}', {seed}")
        elif picture.name in seen:
            first = seen[picture.name]
            steps = f", steps {first.origin.step} and {picture.origin.step}" if picture.origin.step else ""
            found.append(f"{picture.path.name}: {picture.name} is {first.path.name} already{steps}")
        seen.setdefault(picture.name, picture)
    return found


def _stranger(origin: Origin) -> str:
    if origin.place is not None:
        return f"counted from 0, the policy asks for no picture number {origin.place}"
    said = origin.prompt if len(origin.prompt) <= 60 else f"{origin.prompt[:57]}..."
    return f"prompts.yaml has no prompt '{said}'"


def _stale(pictures: Sequence[Picture], lora: Lora | None) -> list[str]:
    """Made with another LoRA, or with one where there should be none, as far as the files say."""
    if lora is None:
        return [f"{picture.path.name}: made with a LoRA" for picture in pictures if picture.origin.loras]
    digests = [lora.sha256, lora.tensors_sha256, lora.facts.get("tensors sha256", "")]
    if not lora.sha256:  # no file was named: the pictures have to agree with the first of them
        known = (picture.origin.loras or () for picture in pictures)
        digests = next((list(loras) for loras in known if any(loras)), [])
    named = _usual(picture.origin.named or None for picture in pictures)
    scale = _usual(picture.origin.scale for picture in pictures)
    found = []
    for picture in pictures:
        why = _foreign(picture.origin, digests, lora) or _odd(picture.origin, named, scale)
        found += [f"{picture.path.name}: {why}"] if why else []
    return found


def _usual(said: Iterable[T | None]) -> T | None:
    """What most of those say that say anything."""
    found = Counter(one for one in said if one is not None).most_common(1)
    return found[0][0] if found else None


def _foreign(origin: Origin, digests: Sequence[str], lora: Lora) -> str:
    if origin.loras is None:
        return ""
    if not origin.loras:
        return "made without a LoRA"
    if "" in origin.loras or any(digest.startswith(origin.loras) for digest in digests):
        return ""
    others = f"not {lora.path.name}" if lora.sha256 else "others with another"
    return f"made with the LoRA of digest {origin.loras[0][:12]}, {others}"


def _odd(origin: Origin, named: tuple[str, ...] | None, scale: float | None) -> str:
    if origin.named and named and origin.named != named:
        return f"made with the LoRA {_called(origin.named)}, others with {_called(named)}"
    if origin.scale is not None and origin.scale != scale:
        return f"strength {origin.scale:g}, and others have another"
    return ""


def _called(named: tuple[str, ...]) -> str:
    return " and ".join(f"'{name}'" for name in named)


def _copies(pictures: Sequence[Picture], files: dict[Path, ImageFile]) -> list[str]:
    """One picture under two names would count twice."""
    first: dict[str, Picture] = {}
    found = []
    for picture in pictures:
        before = first.setdefault(files[picture.path].sha256, picture)
        if before.name != picture.name:
            found.append(f"{picture.path.name}: the same bytes as {before.path.name}")
    return found
