"""ResolvedBase -> a diffusers pipeline on its device, and what a prompt may be on it."""

from __future__ import annotations

import importlib
import json
from typing import Any

from lora_checks.base import ResolvedBase
from lora_checks.errors import ConfigError, GenerationError, first_line
from lora_checks.records import PromptSet


def load_pipeline(base: ResolvedBase, prompts: PromptSet, device: str, dtype: str) -> Any:
    """The base's own pipeline class, without its safety checker.

    The checker paints images black; in a measurement that would be a bad score without a cause.
    """
    import torch

    # neither has types for what is called here
    diffusers: Any = importlib.import_module("diffusers")
    transformers: Any = importlib.import_module("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    diffusers.utils.logging.disable_progress_bar()
    index = json.loads((base.folder / "model_index.json").read_text(encoding="utf-8"))
    extra = {"safety_checker": None, "requires_safety_checker": False} if "safety_checker" in index else {}
    try:
        pipe = diffusers.DiffusionPipeline.from_pretrained(
            base.folder, torch_dtype=getattr(torch, dtype), local_files_only=True, **extra
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise GenerationError(f"base model {base.folder} does not load: {first_line(error)}") from error
    if prompts.sampler.scheduler:
        pipe.scheduler = _scheduler(prompts).from_config(pipe.scheduler.config)
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def _scheduler(prompts: PromptSet) -> Any:
    import diffusers

    name = prompts.sampler.scheduler or ""
    found = getattr(diffusers, name, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)):
        raise ConfigError(f"{prompts.source}: sampler: scheduler '{name}' is not a diffusers scheduler class")
    return found


def check_prompt_lengths(pipe: Any, prompts: PromptSet) -> None:
    """Tokenizers cut long prompts without a word; here that is a `ConfigError` with file and line."""
    tokenizers = [getattr(pipe, name, None) for name in ("tokenizer", "tokenizer_2", "tokenizer_3")]
    for tokenizer in filter(None, tokenizers):
        limit = tokenizer.model_max_length
        for prompt in prompts.prompts:
            count = len(tokenizer(prompt.text, truncation=False, verbose=False).input_ids)
            if count > limit:
                raise ConfigError(
                    f"{prompt.source}: prompt '{prompt.id}' has {count} tokens, and this base reads only the "
                    f"first {limit}; shorten it"
                )
