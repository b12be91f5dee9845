"""Which images a LoRA is judged on. Pure: no file is read and nothing is generated here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSpec, Lora, Prompt, PromptSet

# Of our own code that decides pixels: applying a LoRA, noise, sampling, decoding. Raise it where one of them
# changes what is painted, so that images of before are made anew and not taken for those of now.
OWN_CODE = "lora_checks.pixels 1"


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides pixels besides the policy and the LoRA."""

    base: str  # identity of the base's weights
    device: str
    dtype: str
    versions: tuple[str, ...]
    companions: tuple[Lora, ...] = ()
    memory: tuple[str, ...] = ()  # of `Memory.pixels`


def candidate(prompts: PromptSet, machine: Machine, lora: Lora) -> tuple[ImageSpec, ...]:
    """One spec for each prompt and seed, prompts outermost, with the LoRA applied at its scale."""
    return tuple(
        replace(spec, lora=lora.sha256, lora_scale=lora.scale) for spec in baseline(prompts, machine)
    )


def baseline(prompts: PromptSet, machine: Machine) -> tuple[ImageSpec, ...]:
    """The same prompts, noise and companions without the LoRA, row for row."""
    return tuple(
        ImageSpec(
            prompt=prompt,
            seed=noise_seed(prompt, seed),
            sampler=prompts.sampler,
            base=machine.base,
            lora=None,
            lora_scale=0.0,
            dtype=machine.dtype,
            device=machine.device.partition(":")[0],
            versions=machine.versions,
            companions=tuple((lora.sha256, lora.scale) for lora in machine.companions),
            memory=machine.memory,
        )
        for prompt in prompts.prompts
        for seed in prompts.seeds
    )


def counterparts(prompts: PromptSet, machine: Machine, names: Sequence[str]) -> tuple[ImageSpec, ...]:
    """Of images named ``prompt-id/seed``, of whichever seed: the same without the LoRA.

    Raises `ConfigError` for another name.
    """
    known = {prompt.id: prompt for prompt in prompts.prompts}
    found: list[ImageSpec] = []
    for name in names:
        prompt, _, seed = name.rpartition("/")
        if prompt not in known or not seed.isdecimal():
            raise ConfigError(f"{name} has no counterpart without the LoRA")
        alone = replace(prompts, prompts=(known[prompt],), seeds=(int(seed),))
        found += baseline(alone, machine)
    return tuple(found)


def names(prompts: PromptSet) -> tuple[str, ...]:
    """``prompt-id/seed`` for each spec, in the same order."""
    return tuple(f"{prompt.id}/{seed}" for prompt in prompts.prompts for seed in prompts.seeds)


def noise_seed(prompt: Prompt, seed: int) -> int:
    """Every prompt starts from noise of its own.

    With one seed for all prompts their images share composition, so they are no independent sample and
    every interval over prompts comes out too narrow. The result is recorded in each image.
    """
    return int.from_bytes(hashlib.sha256(f"{prompt.id}/{seed}".encode()).digest()[:4], "big")
