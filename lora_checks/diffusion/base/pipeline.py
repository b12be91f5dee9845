"""Load a base as a diffusers pipeline, and check that a policy's sampler suits it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, GenerationError, first_line
from lora_checks.core.records import PromptSet
from lora_checks.diffusion.base import ResolvedBase, declared, scheduler
from lora_checks.diffusion.base.absent import check_absent, spared
from lora_checks.diffusion.base.as_written import REWRITERS
from lora_checks.diffusion.base.family import Family, family_of, has, index_of, pipeline_class, settings
from lora_checks.diffusion.base.memory import Memory, check_memory, empty, place, save_memory
from lora_checks.diffusion.base.prompt_lengths import check_prompt_lengths
from lora_checks.diffusion.base.room import Room
from lora_checks.diffusion.device_memory import out_of_memory
from lora_checks.diffusion.quantised import loading

__all__ = ["check_prompt_lengths", "load_pipeline", "preflight"]

NO_GUIDANCE = (None, 0, 1)  # what says of guidance that there is none


def preflight(base: ResolvedBase, prompts: PromptSet, memory: Memory) -> tuple[str, ...]:
    """Check base, sampler and prompts as far as possible before weights are loaded.

    Returns:
        Warnings.

    Raises:
        ConfigError: Something is wrong; the message names the file and line.
    """
    family = family_of(base.folder)
    check_absent(base.folder)
    check_vae(base)
    check_memory(memory, base.folder)
    for arm in prompts.arms:
        check_sampler(family, arm)
        scheduler.check_scheduler(base.folder, arm)
    return tuple(
        dict.fromkeys(warning for arm in prompts.arms for warning in check_prompt_lengths(base, arm))
    )


def check_sampler(family: Family, prompts: PromptSet) -> None:
    """Raise `ConfigError` for settings that the base is known to ignore silently or to round."""
    asked = prompts.sampler
    for key, pixels in (("width", asked.width), ("height", asked.height)):
        if pixels % family.multiple:
            raise ConfigError(
                f"{prompts.place(key)}: must be a multiple of {family.multiple} on this base, not {pixels}: "
                f"{_neighbours(pixels, family.multiple)}"
            )
    if family.unguided and asked.guidance not in NO_GUIDANCE:
        more = ", and set 'true_cfg_scale' above 1" if family.negative == "true_cfg_scale" else ""
        raise ConfigError(
            f"{prompts.place('guidance')}: {family.unguided}: guidance_scale {asked.guidance} has no effect "
            f"on it; remove it{more}"
        )
    if asked.true_cfg_scale is not None and family.negative != "true_cfg_scale":
        raise ConfigError(
            f"{prompts.place('true_cfg_scale')}: {family.pipeline} does not know it; use 'guidance'"
        )
    if asked.max_sequence_length is not None and family.sequence is None:
        raise ConfigError(
            f"{prompts.place('max_sequence_length')}: this base has no T5 that would read so far"
        )
    longest = declared.LONGEST.get(family.pipeline)
    if longest is not None and (asked.max_sequence_length or 0) > longest:
        raise ConfigError(
            f"{prompts.place('max_sequence_length')}: must be at most {longest} on this base, not "
            f"{asked.max_sequence_length}"
        )
    _check_negative(family, prompts)


def _neighbours(pixels: int, multiple: int) -> str:
    """Return the nearest sizes that work, as advice."""
    below = pixels // multiple * multiple
    return f"write {below} or {below + multiple}" if below else f"write {multiple}"


def _check_negative(family: Family, prompts: PromptSet) -> None:
    asked = prompts.sampler
    strength = {"guidance": asked.guidance, "true_cfg_scale": asked.true_cfg_scale}.get(family.negative)
    if strength is None:
        strength = family.strengths.get(family.negative, 0.0 if family.negative == "never" else math.inf)
    above = family.guided_above if family.negative == "guidance" else 1.0
    if asked.negative and strength <= above:
        remedy = (
            "remove it"
            if family.negative == "never"
            else f"remove it or set '{family.negative}' above {above:g}"
        )
        raise ConfigError(
            f"{prompts.place('negative')}: this base would not read a negative prompt; {remedy}"
        )


def check_vae(base: ResolvedBase) -> None:
    """Raise `ConfigError` for a VAE of another family, which would decode noise."""
    if base.vae is None or base.vae.is_file():
        return
    own, other = (
        settings(folder, part).get("latent_channels")
        for folder, part in ((base.folder, "vae"), (base.vae, ""))
    )
    if own != other:
        raise ConfigError(
            f"vae {base.vae}: has {other} latent channels where this base has {own}; name one of its family"
        )


def load_pipeline(base: ResolvedBase, prompts: PromptSet, device: str, dtype: str, memory: Memory) -> Any:
    """Load the base's text-to-image pipeline, without its safety checker.

    The checker replaces images with black ones, which would lower a score without a visible cause.

    Raises:
        GenerationError: A weight is missing or does not fit.
        NoRoomError: Memory does not hold it; what was loaded of it is gone.
    """
    _be_quiet()
    room = Room(base, device, dtype, memory)
    room.refuse()
    pipe: Any = None
    try:
        pipe = _read(base, device if memory.offload == "none" else "cpu", dtype)
        _check_whole(pipe, base)
        scheduler.use(pipe, prompts)
        pipe.set_progress_bar_config(disable=True)
        save_memory(pipe, memory, device)
        place(pipe, device, memory)
    except Exception as error:
        if pipe is not None:
            empty(pipe.components.values())
        if out_of_memory(error):
            raise room.error() from None
        raise
    return pipe


def _read(base: ResolvedBase, device: str, dtype: str) -> Any:
    """Load the pipeline from the directory or the single file, part after part if it goes to a device.

    Main memory then holds one part at a time, and not FLUX's 34 GB.
    """
    kind = pipeline_class(base.folder, index_of(base.folder).get("_class_name"))
    torch: Any = importlib.import_module("torch")
    given: dict[str, Any] = {"torch_dtype": getattr(torch, dtype), "local_files_only": True}
    index = index_of(base.folder)
    parts: dict[str, Any] = {name: None for name in REWRITERS if has(index, name)}
    parts |= dict.fromkeys(spared(kind.__name__, index))
    try:
        if base.vae is not None:
            parts["vae"] = _vae(base.vae, base.folder, given)
            parts["vae"].to(device)
        parts |= _quantised(base, device, given)
        if base.file is None and device != "cpu":
            _load_parts(base.folder, device, given, parts)
        if "safety_checker" in index:
            given |= {"safety_checker": None, "requires_safety_checker": False}
        if base.file is None:
            return kind.from_pretrained(base.folder, **given, **parts)
        return kind.from_single_file(str(base.file), config=str(base.folder), **given, **parts)
    except GenerationError:
        empty(parts.values())
        raise
    except Exception as error:  # any error from damaged, missing or wrong files
        empty(parts.values())
        if out_of_memory(error):
            raise
        why = "some of its weights are missing" if "meta tensor" in str(error) else first_line(error)
        raise GenerationError(f"base model {base.file or base.folder} does not load: {why}") from error


def _quantised(base: ResolvedBase, device: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Load the networks whose weights are quantised."""
    index, parts = index_of(base.folder), {}
    for network in base.quantised:
        library, name = index[network.name]
        kind = getattr(importlib.import_module(library), name)
        parts[network.name] = loading.load(network, kind, base.folder, device, given)
    return parts


def _load_parts(folder: Path, device: str, given: dict[str, Any], parts: dict[str, Any]) -> None:
    """Load each network of the pipeline that ``parts`` lacks, and move it before the next is loaded."""
    for name, value in index_of(folder).items():
        if isinstance(value, list) and value[0] in ("diffusers", "transformers") and name not in parts:
            kind = getattr(importlib.import_module(value[0]), value[1])
            if hasattr(kind, "named_parameters"):
                parts[name] = kind.from_pretrained(folder / name, **given)
                parts[name].to(device)


def _vae(path: Path, base: Path, given: dict[str, Any]) -> Any:
    diffusers: Any = importlib.import_module("diffusers")
    if path.is_file():
        return diffusers.AutoencoderKL.from_single_file(str(path), config=str(base), subfolder="vae", **given)
    return getattr(diffusers, settings(path, "")["_class_name"]).from_pretrained(path, **given)


def _check_whole(pipe: Any, base: ResolvedBase) -> None:
    """Raise `GenerationError` for weights that the checkpoint lacks, which diffusers does not report."""
    for name, part in pipe.components.items():
        empty = [key for key, weight in getattr(part, "named_parameters", list)() if weight.is_meta]
        if empty:
            raise GenerationError(
                f"base model {base.file or base.folder}: {len(empty)} weights of {name} are missing, such as "
                f"{empty[0]}; it is damaged or of another family than its config"
            )


def _be_quiet() -> None:
    # neither library has types for these functions
    for library in ("diffusers", "transformers"):
        importlib.import_module(library)
        logging: Any = importlib.import_module(f"{library}.utils.logging")
        logging.set_verbosity_error()
        logging.disable_progress_bar()
