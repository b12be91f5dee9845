"""Build the scheduler that a policy asks for from diffusers' classes, and check its settings."""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, first_line
from lora_checks.core.records import PromptSet
from lora_checks.diffusion.base.family import has, index_of
from lora_checks.policy.strict_yaml import suggestion

FLOW = "FlowMatch"  # in the names of schedulers for models that predict a flow (SD 3, FLUX)


def changes(prompts: PromptSet) -> bool:
    """Return whether the policy changes the base's scheduler."""
    return bool(prompts.sampler.scheduler or prompts.sampler.scheduler_settings)


def use(pipe: Any, prompts: PromptSet) -> None:
    """Give the pipeline the policy's scheduler, or the one that it was loaded with."""
    if getattr(pipe, "scheduler", None) is None:
        return
    own = vars(pipe).setdefault("own_scheduler", pipe.scheduler)
    pipe.scheduler = build(type(own).__name__, own.config, prompts) if changes(prompts) else own


def check_scheduler(folder: Path, prompts: PromptSet) -> None:
    """Check the scheduler before weights are loaded; imports diffusers only if the policy changes it."""
    index = index_of(folder)
    if changes(prompts) and has(index, "scheduler"):
        path = folder / "scheduler" / "scheduler_config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        build(index["scheduler"][1], config, prompts)


def build(own: str, config: Mapping[str, Any], prompts: PromptSet) -> Any:
    """Build the policy's scheduler from the ``config`` of the base's ``own``. Raises `ConfigError`."""
    name, settings = prompts.sampler.scheduler or own, prompts.sampler.scheduler_settings
    found = _class(name, prompts)
    for key, value in settings.items():
        _check_setting(found, key, value, prompts.place(f"scheduler_settings.{key}"))
    if (FLOW in own) != (FLOW in name or bool(settings.get("use_flow_sigmas"))):
        what = "predicts a flow, which needs" if FLOW in own else "predicts no flow, so it cannot use"
        raise ConfigError(
            f"{prompts.place('scheduler')}: this base {what} a FlowMatch scheduler (or 'use_flow_sigmas'); "
            f"its own is {own}"
        )
    try:
        return found.from_config(config, **settings)
    except Exception as error:  # any error of a class about values it cannot use
        raise ConfigError(
            f"{prompts.place('scheduler_settings')}: {name} refuses them: {first_line(error)}"
        ) from error


def _class(name: str, prompts: PromptSet) -> Any:
    diffusers: Any = importlib.import_module("diffusers")
    found = getattr(diffusers, name, None)
    if not (isinstance(found, type) and issubclass(found, diffusers.SchedulerMixin)):
        raise ConfigError(f"{prompts.place('scheduler')}: '{name}' is not a diffusers scheduler class")
    return found


def _check_setting(found: Any, key: str, value: object, place: str) -> None:
    known = {
        name: p.default for name, p in inspect.signature(found.__init__).parameters.items() if name != "self"
    }
    if key not in known:
        raise ConfigError(f"{place}: {found.__name__} has no such setting; {suggestion(key, list(known))}")
    default = known[key]
    kinds = {bool: bool, int: int | float, float: int | float, str: str}.get(type(default))
    if kinds is not None and (
        not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool)
    ):
        raise ConfigError(f"{place}: must be like {default!r} in {found.__name__}, not {value!r}")
