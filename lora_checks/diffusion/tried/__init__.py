"""Prove, before the first image, that a base does what the policy's settings say.

Many pipelines accept a setting and ignore it: guidance of a distilled model, a negative prompt without
guidance, a size that they round, words beyond a limit that a chat template has used up. Each setting that the
policy makes is changed, and the base's first prediction must change with it. Nothing here knows a family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lora_checks.core.errors import ConfigError, GenerationError, first_line
from lora_checks.core.records import Prompt, PromptSet, Sampler
from lora_checks.diffusion.base.family import Family, family_of
from lora_checks.diffusion.base.prompt_lengths import longest
from lora_checks.diffusion.device_memory import out_of_memory
from lora_checks.diffusion.tried import tokens
from lora_checks.diffusion.tried.first_step import FirstStep, first_step, small, whole

VERSION = 1  # of the trial; bump to repeat what the store has
# The key of the policy that an argument of diffusers comes from, to place a pipeline's own complaint.
_KEYS = {
    "max_sequence_length": "max_sequence_length",
    "true_cfg_scale": "true_cfg_scale",
    "negative_prompt": "negative",
    "guidance": "guidance",
    "num_inference_steps": "steps",
    "timesteps": "steps",
    "height": "height",
    "width": "width",
}


@dataclass
class _Trial:
    """One base, the policy's settings, and what the base predicts with them."""

    pipe: Any
    family: Family
    prompts: PromptSet
    prompt: Prompt  # the one with the most tokens
    sampler: Sampler  # the policy's, at a size that is as small as the base takes
    readings: list[tokens.Reading]
    reference: FirstStep
    noise: float = 0.0  # how far two predictions with the same settings are apart

    def changes(self, sampler: Sampler | None = None, text: str | None = None) -> bool:
        """Return whether the prediction changes with the settings or the prompt."""
        step = first_step(self.pipe, text or self.prompt.text, sampler or self.sampler)
        return _distance(step, self.reference) > self.noise


def refuse_ignored(pipe: Any, folder: Path, prompts: PromptSet) -> None:
    """Raise `ConfigError` for a setting, size or end of a prompt that the base accepts and ignores.

    Args:
        pipe: The pipeline without any LoRA.
        folder: The directory with the pipeline's settings.
        prompts: The prompts and the settings of one kind of images.

    Raises:
        ConfigError: The message names the file and line, and what to write instead.
        GenerationError: The base cannot make an image at all.
    """
    trial = _begun(pipe, folder, prompts)
    for refuse in (_refuse_cut_prompt, _refuse_idle_guidance, _refuse_idle_negative, _refuse_size):
        refuse(trial)


def _begun(pipe: Any, folder: Path, prompts: PromptSet) -> _Trial:
    prompt = longest(folder, prompts)
    readings: list[tokens.Reading] = []
    with tokens.observed(readings):
        sampler, reference = _reference(pipe, prompt.text, prompts)
    trial = _Trial(pipe, family_of(folder), prompts, prompt, sampler, readings, reference)
    # An accelerator adds in another order each time; weights that are offloaded wait on the CPU.
    if getattr(pipe, "_execution_device", pipe.device).type != "cpu":
        trial.noise = 2 * _distance(first_step(pipe, prompt.text, sampler), reference)
    return trial


def _reference(pipe: Any, text: str, prompts: PromptSet) -> tuple[Sampler, FirstStep]:
    """Return the first step at a small size or, where the base takes no such size, at the policy's own."""
    less = small(prompts.sampler)
    if less != prompts.sampler:
        try:
            return less, first_step(pipe, text, less)
        except Exception as error:  # of any kind, deep inside a network
            if out_of_memory(error):
                raise
            # else the policy's own size tells whether it was the size
    try:
        return prompts.sampler, first_step(pipe, text, prompts.sampler)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{prompts.place(_culprit(str(error)))}: this base refuses it: {first_line(error)}"
        ) from error
    except GenerationError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise GenerationError(f"the base fails in the first step of an image: {first_line(error)}") from error


def _culprit(message: str) -> str:
    places = {key: message.find(word) for word, key in _KEYS.items() if word in message}
    return min(places, key=lambda key: places[key], default="steps")


def _distance(a: FirstStep, b: FirstStep) -> float:
    if a.prediction.shape != b.prediction.shape:
        return float("inf")
    return float(np.abs(a.prediction - b.prediction).max())


def _refuse_cut_prompt(trial: _Trial) -> None:
    """Refuse a longest prompt whose end the base does not read."""
    prompt, where = trial.prompt, trial.prompt.source
    cut = tokens.lost(trial.readings, prompt.text)
    if cut is not None:
        raise ConfigError(
            f"{where}: prompt '{prompt.id}' has {cut[0]} tokens with what this base writes around it, and "
            f"the base reads only the first {cut[1]}; {_shorten(trial)}"
        )
    for text in _other_ends(prompt.text):
        readings: list[tokens.Reading] = []
        with tokens.observed(readings):
            changed = trial.changes(text=text)
        if changed:
            return
        if not tokens.same(trial.readings, readings):
            word = prompt.text.split()[-1]
            raise ConfigError(
                f"{where}: the end of prompt '{prompt.id}' ('{word}') changes nothing, so this base does not "
                f"read that far; {_shorten(trial)}"
            )


def _shorten(trial: _Trial) -> str:
    raisable = trial.family.sequence is not None
    return "shorten it or raise 'max_sequence_length' under sampler:" if raisable else "shorten it"


def _other_ends(text: str) -> Iterator[str]:
    """Yield texts that differ in their last character and in their last word."""
    last = text[-1:].casefold()
    letter, sign = "o" if last == "x" else "x", "." if last == "!" else "!"
    yield text[:-1] + (letter if last.isalnum() else sign)
    yield " ".join(text.split()[:-1]) or "x"


def _refuse_idle_guidance(trial: _Trial) -> None:
    asked, place, true_cfg = trial.sampler, trial.prompts.place, trial.sampler.true_cfg_scale or 0.0
    if asked.guidance not in (None, 0, 1):
        other = asked.guidance + 1 if asked.guidance > 1 else asked.guidance / 2
        if not trial.changes(replace(asked, guidance=other)):
            more = ", and set 'true_cfg_scale' above 1" if trial.family.negative == "true_cfg_scale" else ""
            raise ConfigError(
                f"{place('guidance')}: guidance_scale {asked.guidance} has no effect on this base; "
                f"remove it{more}"
            )
    if true_cfg > 1 and not trial.changes(replace(asked, true_cfg_scale=true_cfg + 1)):
        raise ConfigError(
            f"{place('true_cfg_scale')}: true_cfg_scale {true_cfg} has no effect on this base; remove it"
        )


def _refuse_idle_negative(trial: _Trial) -> None:
    negative = trial.sampler.negative
    if not negative:
        return
    cut = tokens.lost(trial.readings, negative)
    if cut is not None:
        raise ConfigError(
            f"{trial.prompts.place('negative')}: the negative prompt has {cut[0]} tokens with what this base "
            f"writes around it, and the base reads only the first {cut[1]}; shorten it"
        )
    if not trial.changes(replace(trial.sampler, negative=next(_other_ends(negative)))):
        raise ConfigError(
            f"{trial.prompts.place('negative')}: the negative prompt has no effect on this base; remove it, "
            "or raise the guidance that it needs"
        )


def _refuse_size(trial: _Trial) -> None:
    """Refuse a size that the base rounds or scales, and steps that it does not count."""
    asked, text, place = trial.prompts.sampler, trial.prompt.text, trial.prompts.place
    size, steps = whole(trial.pipe, text, trial.sampler)
    if size != (trial.sampler.width, trial.sampler.height) and trial.sampler != asked:
        size, _ = whole(trial.pipe, text, asked)  # it may make every size one, and be asked for that one
    if size not in ((asked.width, asked.height), (trial.sampler.width, trial.sampler.height)):
        nearest = f"{size[0]}x{size[1]}"
        raise ConfigError(
            f"{place('width' if size[0] != asked.width else 'height')}: this base makes {nearest} where "
            f"{asked.width}x{asked.height} is asked for; write {nearest}"
        )
    if asked.steps > 1 and len(trial.reference.timesteps) == steps > 0:
        raise ConfigError(
            f"{place('steps')}: this base takes {steps} steps whatever is asked; write steps: {steps}"
        )
