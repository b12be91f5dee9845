"""Modular pipelines of diffusers, as which alone some bases are published (Anima), made ordinary ones.

A modular pipeline is a sequence of blocks over named parts. The blocks that make an image of a text become
the call of a `DiffusionPipeline` of the same parts, so that all that loads, moves and asks pipelines can.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base.as_written import REWRITERS

INDEX = "modular_model_index.json"
# The files of a repository that parts are loaded from; never pickles.
WANTED = ("*.json", "*/*.json", "*/*.txt", "*/*.model", "*/*.jinja", "*/*.safetensors")
_OUTPUTS = ("images", "image", "videos", "frames", "audios", "audio")
_WORKFLOW = "text2image"
_NOWHERE = [None, None]


def index_of(folder: Path) -> dict[str, Any]:
    """Return a modular index in the form of model_index.json: [library, class] by part, nulls if not there.

    diffusers writes with each part where it was loaded from, and nulls for its class before it was. Only a
    part in the folder of its name belongs to the base: any other could change without it.
    """
    index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    return {name: _part(folder, name, value) for name, value in index.items()}


def _part(folder: Path, name: str, value: Any) -> Any:
    if not (isinstance(value, list) and len(value) == 3 and isinstance(value[2], dict)):
        return value
    kind = value[:2] if value[0] is not None else list(value[2].get("type_hint") or _NOWHERE)
    here = value[2].get("subfolder") == name and (folder / name).is_dir()
    return kind if here else _NOWHERE


def parts_of(folder: Path, model: str) -> list[str]:
    """Return the parts that a hub repository has itself, by its index and by its folders."""
    index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    specs = {name: value[2] for name, value in index.items() if isinstance(value, list) and len(value) == 3}
    own = [
        name
        for name, spec in specs.items()
        if spec.get("pretrained_model_name_or_path") == model and spec.get("subfolder") == name
    ]
    return [name for name in specs if name in own or (folder / name).is_dir()]


def pipeline(folder: Path, own: Any) -> Any:
    """Return a class of ordinary pipelines that makes the images of the modular class ``own``.

    Raises:
        ConfigError: Its blocks are no part of diffusers, or a part is not in the folder.
    """
    index = index_of(folder)
    blocks = _of_text(_blocks(folder, own, index))
    specs = {spec.name: spec for spec in blocks.expected_components}
    made = {name: spec.default_creation_method == "from_config" for name, spec in specs.items()}
    absent = [name for name in specs if not made[name] and _kind(index, name) is None]
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise ConfigError(
            f"base {folder}: {', '.join(absent)} of this modular pipeline {verb} not there, each in a folder "
            "of its name; load it with diffusers' ModularPipeline and load_components(), save all of it with "
            "save_pretrained(), and name that folder"
        )
    kinds = {name: _kind(index, name) for name in specs}
    return _class(folder, own, blocks, kinds)


def _kind(index: Mapping[str, Any], name: str) -> tuple[str, str] | None:
    """Return the library and the class of a part in the folder."""
    library, kind = index.get(name, _NOWHERE)
    return (library, kind) if library in ("diffusers", "transformers") and kind else None


def _blocks(folder: Path, own: Any, index: Mapping[str, Any]) -> Any:
    """Return the blocks that diffusers itself would build of the index."""
    diffusers: Any = importlib.import_module("diffusers")
    name = index.get("_blocks_class_name") or own.default_blocks_name
    kind = getattr(diffusers, name, None) if name else None
    if kind is not None and not kind.block_classes:  # a bare sequence, as of blocks that were put together
        kind = getattr(diffusers, own.default_blocks_name or "", None)
    if kind is None:
        raise ConfigError(
            f"base {folder}: its blocks ({name}) are no part of diffusers {diffusers.__version__}, and the "
            "gate runs no code of a base; gate pictures that were made elsewhere with --lora-images"
        )
    return kind()


def _of_text(blocks: Any) -> Any:
    """Return the blocks that run for a text alone, without those that rewrite it."""
    named: Mapping[str, Any] = getattr(blocks, "_workflow_map", None) or {}
    pruned = (
        blocks.get_workflow(_WORKFLOW) if _WORKFLOW in named else blocks.get_execution_blocks(prompt=True)
    )
    for name in [name for name in pruned.sub_blocks if set(name.split(".")) & set(REWRITERS)]:
        pruned.sub_blocks.pop(name)
    return pruned


def _class(folder: Path, own: Any, blocks: Any, kinds: Mapping[str, tuple[str, str] | None]) -> Any:
    diffusers: Any = importlib.import_module("diffusers")
    output: Any = importlib.import_module("diffusers.pipelines.pipeline_utils").ImagePipelineOutput
    takes = _takes(blocks)

    def start(self: Any, **parts: Any) -> None:
        diffusers.DiffusionPipeline.__init__(self)
        self.register_modules(**parts)
        self.blocks_of = own(blocks=blocks, pretrained_model_name_or_path=str(folder), local_files_only=True)
        logging.getLogger("diffusers.modular_pipelines").setLevel(logging.CRITICAL)  # it logs what it raises

    def call(self: Any, **inputs: Any) -> Any:
        takes.bind(self, **inputs)  # what it does not know, a modular pipeline ignores with a warning
        images = _lent(self)(output=_made(blocks)[0], **inputs)
        self.maybe_free_model_hooks()
        return output(images=images)

    start.__signature__ = _signature(kinds)  # type: ignore[attr-defined]
    call.__signature__ = takes  # type: ignore[attr-defined]
    content = {
        "__init__": start,
        "__call__": call,
        "from_pretrained": classmethod(lambda kind, *_, **given: kind(**_loaded(folder, own, kinds, given))),
        "set_progress_bar_config": lambda _, **settings: _set_progress_bar(blocks, settings),
        "vae_scale_factor": property(lambda self: getattr(_lent(self), "vae_scale_factor", 8)),
        "model_cpu_offload_seq": "->".join(_networks(blocks)),
        "makes": _made(blocks),
        "own_parts": frozenset(name for name, kind in kinds.items() if kind is None),
        "_lora_loadable_modules": list(getattr(own, "_lora_loadable_modules", ())),
    }
    return type(own.__name__, (diffusers.DiffusionPipeline,), content)


def _made(blocks: Any) -> tuple[str, ...]:
    """Return what of the blocks' outputs is no intermediate."""
    names = {output.name for output in blocks.outputs}
    return tuple(name for name in _OUTPUTS if name in names)


def _takes(blocks: Any) -> inspect.Signature:
    """Return the call's signature as of an ordinary pipeline."""
    inputs = {one.name: inspect.Parameter.empty if one.required else one.default for one in blocks.inputs}
    return _signature({name: default for name, default in inputs.items() if name}, inputs)


def _signature(names: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> inspect.Signature:
    named, empty = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.empty
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for name in names:
        parameters.append(inspect.Parameter(name, named, default=(defaults or {}).get(name, empty)))
    return inspect.Signature(parameters)


def _networks(blocks: Any) -> Iterator[str]:
    """Yield the networks in the order in which the blocks ask for them."""
    for spec in blocks.expected_components:
        if hasattr(spec.type_hint, "named_parameters"):
            yield spec.name


def _lent(pipe: Any) -> Any:
    """Return the modular pipeline with the parts that the ordinary one has at present."""
    modular = pipe.blocks_of
    for name, part in pipe.components.items():
        setattr(modular, name, part)
    return modular


def _loaded(
    folder: Path, own: Any, kinds: Mapping[str, tuple[str, str] | None], given: dict[str, Any]
) -> dict[str, Any]:
    """Load every part that is not given, and make those that have no files."""
    dtype = given.pop("torch_dtype", None)
    blank = own(pretrained_model_name_or_path=str(folder), local_files_only=True)
    parts: dict[str, Any] = {}
    for name, kind in kinds.items():
        if name in given:
            parts[name] = given[name]
        elif kind is None:
            parts[name] = getattr(blank, name)
        else:
            parts[name] = _read(folder / name, kind, dtype)
    return parts


def _read(folder: Path, kind: tuple[str, str], dtype: Any) -> Any:
    found = getattr(importlib.import_module(kind[0]), kind[1])
    heavy = hasattr(found, "named_parameters") or kind[1].startswith("AutoModel")
    return found.from_pretrained(folder, local_files_only=True, **({"torch_dtype": dtype} if heavy else {}))


def _set_progress_bar(blocks: Any, settings: Mapping[str, Any]) -> None:
    for block in blocks.sub_blocks.values():
        if hasattr(block, "set_progress_bar_config"):
            block.set_progress_bar_config(**settings)
