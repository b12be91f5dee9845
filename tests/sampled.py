"""Policies and images on the tiny bases of `families`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lora_checks.core.records import Base, ImageSpec, Prompt, PromptSet, Sampler
from lora_checks.diffusion.base import ResolvedBase, resolve
from lora_checks.diffusion.base.memory import Memory
from lora_checks.diffusion.base.pipeline import load_pipeline, preflight
from lora_checks.diffusion.sampling import Limits, Sampled, sample

FolderOf = Callable[[str], Path]  # the fixture `family_folder`


def prompts(*texts: str, **sampler: Any) -> PromptSet:
    """One prompt a text, at two steps of 32 x 32 pixels; its lines are made up."""
    said = {"steps": 2, "guidance": 3.0, "width": 32, "height": 32} | sampler
    listed = tuple(
        Prompt(f"p{i}", text, source=f"prompts.yaml:{9 + i}") for i, text in enumerate(texts or ("a",))
    )
    places = {key: f"prompts.yaml:2: sampler.{key}" for key in said}
    places |= {
        f"scheduler_settings.{key}": f"prompts.yaml:3: sampler.scheduler_settings.{key}"
        for key in said.get("scheduler_settings", {})
    }
    return PromptSet(Base("x"), Sampler(**said), listed, (1,), "sks", "person", "prompts.yaml", places)


def guidance(family: str) -> float:
    return 0.0 if family == "FLUX schnell" else 3.0


def specs(said: PromptSet, count: int = 1, dtype: str = "float32") -> list[ImageSpec]:
    return [
        ImageSpec(Prompt("a", f"photo number {i}"), i, said.sampler, "b", None, 0.0, dtype, "cpu", ())
        for i in range(count)
    ]


def loaded(
    base: Path | ResolvedBase, said: PromptSet, dtype: str = "float32", memory: Memory | None = None
) -> Any:
    resolved = resolve(Base(str(base))) if isinstance(base, Path) else base
    return load_pipeline(resolved, said, "cpu", dtype, memory or Memory())


def images(pipe: Any, said: PromptSet, count: int = 1) -> list[Sampled]:
    return list(sample(pipe, specs(said, count), Limits(), print))


def checked(folder: Path, said: PromptSet, memory: Memory | None = None) -> tuple[str, ...]:
    return preflight(resolve(Base(str(folder))), said, memory or Memory())


def copied(folder: Path, to: Path, **changes: Any) -> Path:
    """A pipeline with other values in its files: ``unet={"in_channels": 9}``, ``model_index={...}``."""
    shutil.copytree(folder, to)
    for part, values in changes.items():
        path = to / "model_index.json" if part == "model_index" else to / part / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return to
