"""Match each picture of a folder with a prompt and a seed of the policy, and record the source of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lora_checks.core.errors import MeasureError
from lora_checks.core.records import Prompt, PromptSet
from lora_checks.images import plan
from lora_checks.images.provided.origin import Origin, plain, read_origin
from lora_checks.images.provided.picture_names import OPTION, Names

ORDER = "the order of the names"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture. ``origin`` is from its file; prompt and seed are the policy's, by names or by ``origin``."""

    path: Path
    origin: Origin
    prompt: Prompt | None = None
    seed: int | None = None
    prompt_by: str = ""  # source: "its metadata", "its name", "list.csv"
    seed_by: str = ""
    step: str = ""  # training step
    seed_told: bool = False  # False: only inferred from the order of names
    stranger: str = ""  # why it has no prompt of the policy
    metadata_seed: int | None = None  # if it differs from the seed by name

    @property
    def name(self) -> str:
        return f"{self.prompt.id if self.prompt else ''}/{self.seed}"

    @property
    def is_told(self) -> bool:
        return bool(self.prompt or self.stranger)

    @property
    def words(self) -> dict[str, str]:
        """Return the sources of prompt and seed for the record."""
        sources = {"prompt_by": self.prompt_by, "seed_by": self.seed_by}
        if self.metadata_seed is not None:
            sources["seed_in_metadata"] = str(self.metadata_seed)
        return sources | ({"style": self.origin.style} if self.origin.style else {})


def read_pictures(paths: Sequence[Path], prompts: PromptSet, names: Names | None) -> list[Picture]:
    """Read all pictures; names win over metadata. Raise `MeasureError` if they contradict each other."""
    inside = [_placed(path, read_origin(path), prompts) for path in paths]
    if names is None:
        return inside
    batches = Counter((picture.prompt, picture.seed) for picture in inside)
    return [_named(picture, names, prompts, batches[picture.prompt, picture.seed]) for picture in inside]


def _named(inside: Picture, names: Names, prompts: PromptSet, alike: int) -> Picture:
    told = names.origin(inside.path)
    if told is None:
        return Picture(inside.path, inside.origin, stranger=f"{OPTION} {names.text} does not name it")
    origin = _of_the_only(told, inside, prompts)
    named = _placed(inside.path, origin, prompts)
    other = _other_seed(named, inside, prompts, alike)
    says = bool(origin.prompt) or origin.place is not None
    prompt = named.prompt if says else inside.prompt
    by_name = origin.seed is not None or named.seed is not None
    seed = inside.origin.seed if not by_name else named.seed if origin.seed is None else origin.seed
    return replace(
        inside,
        prompt=prompt,
        seed=_policy_seed(seed, prompt, prompts),
        prompt_by=named.prompt_by if says else inside.prompt_by,
        seed_by=told.source if by_name else inside.origin.source if seed is not None else "",
        seed_told=inside.seed_told or named.seed_told,
        step=origin.step,
        stranger=named.stranger if says else inside.stranger,
        metadata_seed=other,
    )


def _of_the_only(origin: Origin, inside: Picture, prompts: PromptSet) -> Origin:
    """Take the policy's only prompt if neither the name nor the metadata states one."""
    untold = not origin.prompt and origin.place is None and not inside.is_told
    if untold and len(prompts.prompts) == 1:
        return replace(origin, prompt=prompts.prompts[0].id, source="the only prompt")
    return origin


def _other_seed(named: Picture, inside: Picture, prompts: PromptSet, alike: int) -> int | None:
    """Return the metadata's seed if the names state another one and are allowed to.

    A list may map other seeds to the policy's, but not one seed of the policy to another. The exception is a
    batch of ComfyUI, in which each file has the first one's seed.
    """
    if not named.prompt or not inside.prompt:
        return None
    differs = named.seed is not None and inside.seed is not None and inside.seed != named.seed
    swapped = differs and inside.seed in prompts.seeds and alike < 2
    if swapped or named.prompt != inside.prompt:
        says = [picture.name.removesuffix("/None") for picture in (named, inside)]
        raise MeasureError(f"{named.path}: {named.prompt_by} says {says[0]}, {inside.prompt_by} {says[1]}")
    return inside.seed if differs else None


def _placed(path: Path, origin: Origin, prompts: PromptSet) -> Picture:
    prompt = _prompt(origin, prompts)
    seed = _policy_seed(origin.seed, prompt, prompts)
    if seed is None and prompt and origin.place is not None:
        seed = prompts.seeds[origin.place % len(prompts.seeds)]
    prompted = bool(origin.prompt) or origin.place is not None
    return Picture(
        path,
        origin,
        prompt,
        seed,
        prompt_by=origin.source if prompted else "",
        seed_by=origin.source if seed is not None else "",
        seed_told=origin.seed is not None,
        stranger=_stranger(origin) if prompted and prompt is None else "",
    )


def _prompt(origin: Origin, prompts: PromptSet) -> Prompt | None:
    """Find the policy's prompt by id, by text or by place."""
    if origin.place is not None:
        asked = [prompt for prompt in prompts.prompts for _ in prompts.seeds]
        return asked[origin.place] if origin.place < len(asked) else None
    text = plain(origin.prompt)
    by_id = [prompt for prompt in prompts.prompts if prompt.id == origin.prompt]
    return next(
        iter(by_id + [prompt for prompt in prompts.prompts if text and plain(prompt.text) == text]), None
    )


def _policy_seed(seed: int | None, prompt: Prompt | None, prompts: PromptSet) -> int | None:
    """Return the policy's seed behind a noise seed; any other seed unchanged."""
    if seed is None or prompt is None or seed in prompts.seeds:
        return seed
    return next((listed for listed in prompts.seeds if plan.noise_seed(prompt, listed) == seed), seed)


def _stranger(origin: Origin) -> str:
    if origin.place is not None:
        return f"the policy asks for no picture number {origin.place}, counted from 0"
    text = origin.prompt if len(origin.prompt) <= 60 else f"{origin.prompt[:57]}..."
    return f"prompts.yaml has no prompt '{text}'"


def numbered(pictures: Sequence[Picture], prompts: PromptSet) -> list[Picture]:
    """Assign seeds where none is known: the k-th picture of a prompt gets its k-th seed."""
    seeded = {picture.prompt for picture in pictures if picture.seed is not None}
    left = {prompt: list(prompts.seeds) for prompt in prompts.prompts if prompt not in seeded}
    with_seeds = []
    for picture in pictures:
        seeds = left.get(picture.prompt) if picture.prompt and picture.seed is None else None
        with_seeds.append(replace(picture, seed=seeds.pop(0), seed_by=ORDER) if seeds else picture)
    return with_seeds
