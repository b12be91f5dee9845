"""Plan the images that a LoRA is judged by, without reading files or generating anything."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from lora_checks.core.errors import ConfigError
from lora_checks.core.records import ImageSpec, Lora, Prompt, PromptSet

# The version of the gate's code that decides pixels: applying a LoRA, noise, sampling, decoding. Bump it to
# regenerate cached images.
OWN_CODE = "lora_checks.pixels 1"
# Belongs to it for a base that makes what the policy asks for only since it is told to.
AS_WRITTEN = "lora_checks.as_written 1"
COMPILED = "compile"  # in `Machine.memory`: the denoiser's blocks are compiled
SEAT = "compile around "  # in `Machine.seat`: and where LoRAs take turns in them


@dataclass(frozen=True, slots=True)
class Machine:
    """Everything that decides pixels besides the policy and the LoRA."""

    base: str  # identity of the base's weights
    device: str
    dtype: str
    versions: tuple[str, ...]
    companions: tuple[Lora, ...] = ()
    memory: tuple[str, ...] = ()  # `Memory.pixels`, and `COMPILED`
    seat: str = ""  # decides pixels of the base alone; a LoRA decides its own


def candidate(prompts: PromptSet, machine: Machine, lora: Lora) -> tuple[ImageSpec, ...]:
    """Return a spec for each prompt and seed, prompts outermost, with the LoRA at its scale."""
    return tuple(with_lora(spec, machine, lora.sha256, lora.scale) for spec in without_lora(prompts, machine))


def with_lora(spec: ImageSpec, machine: Machine, sha256: str, scale: float) -> ImageSpec:
    """Return the spec of the same image with a LoRA."""
    return replace(spec, lora=sha256, lora_scale=scale, memory=machine.memory)


def baseline(prompts: PromptSet, machine: Machine) -> tuple[ImageSpec, ...]:
    """Return the specs of the base's images: the same prompts, noise and companions, in the same order.

    Their sampler is that of ``sampler: base:`` where the policy has one.
    """
    return without_lora(prompts.of_base, machine)


def without_lora(prompts: PromptSet, machine: Machine) -> tuple[ImageSpec, ...]:
    """Return the specs of the same images without the LoRA, made by the LoRA's own sampler."""
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
            memory=(*machine.memory, *([machine.seat] if machine.seat else [])),
        )
        for prompt in prompts.prompts
        for seed in prompts.seeds
    )


def counterparts(prompts: PromptSet, machine: Machine, names: Sequence[str]) -> tuple[ImageSpec, ...]:
    """Return the specs without the LoRA for images named ``prompt-id/seed``, with any seed.

    Raises:
        ConfigError: A name has another form, or its prompt is not in the policy.
    """
    known = {prompt.id: prompt for prompt in prompts.prompts}
    specs: list[ImageSpec] = []
    for name in names:
        prompt, _, seed = name.rpartition("/")
        if prompt not in known or not seed.isdecimal():
            raise ConfigError(f"{name} has no counterpart without the LoRA")
        alone = replace(prompts, prompts=(known[prompt],), seeds=(int(seed),))
        specs += baseline(alone, machine)
    return tuple(specs)


def names(prompts: PromptSet) -> tuple[str, ...]:
    """Return ``prompt-id/seed`` for each spec, in the same order."""
    return tuple(f"{prompt.id}/{seed}" for prompt in prompts.prompts for seed in prompts.seeds)


def noise_seed(prompt: Prompt, seed: int) -> int:
    """Return the seed of the noise, which differs between prompts.

    With the same noise for all prompts, their images share composition: they are not independent samples, and
    every interval over prompts comes out too narrow. The seed is recorded in each image.
    """
    return int.from_bytes(hashlib.sha256(f"{prompt.id}/{seed}".encode()).digest()[:4], "big")
