"""Parts that a pipeline was saved without: ``"text_encoder_4": [null, null]`` in its model_index.json.

Some makers may not pass a part on (HiDream's Llama); some people leave one out to save memory (T5 of SD 3).
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError
from lora_checks.diffusion.base import declared
from lora_checks.diffusion.base.family import index_of, pipeline_class

# Parts of Stable Diffusion that make no image of a prompt; most folders are saved without them.
_OFTEN_ABSENT = frozenset({"safety_checker", "feature_extractor", "image_encoder"})


def check_absent(folder: Path) -> None:
    """Raise `ConfigError` for a pipeline that cannot do without what its folder lacks."""
    index = index_of(folder)
    if not any(_is_null(value) for name, value in index.items() if name not in _OFTEN_ABSENT):
        return  # so that the usual base needs no library here
    pipeline = pipeline_class(folder, index.get("_class_name"))
    optional = {*getattr(pipeline, "_optional_components", ()), *spared(pipeline.__name__, index)}
    lacking = [
        name
        for name, parameter in inspect.signature(pipeline.__init__).parameters.items()
        if _is_null(index.get(name)) and parameter.default is inspect.Parameter.empty and name not in optional
    ]
    if lacking:
        raise ConfigError(
            f"base {folder}: it was saved without {' and '.join(lacking)}, and {pipeline.__name__} makes no "
            "image without; load it in diffusers with "
            f"from_pretrained(..., {', '.join(f'{name}=...' for name in lacking)}), save it whole with "
            "save_pretrained(), and name that folder"
        )


def spared(pipeline: str, index: Mapping[str, Any]) -> list[str]:
    """Return the parts that are absent and that diffusers, though it asks for them, does without."""
    return [name for name in declared.DOES_WITHOUT.get(pipeline, ()) if _is_null(index.get(name))]


def _is_null(value: object) -> bool:
    return isinstance(value, list) and value[:1] == [None]
