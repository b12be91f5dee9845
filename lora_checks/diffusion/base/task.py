"""Read from a pipeline's class what it makes and of what, without a weight.

What a call returns is the field of its output class (``images``, ``frames``, ``audios``), and what it needs
are its arguments. Nothing here is a list of pipelines: one that diffusers gains tomorrow is read as these.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import CodeType
from typing import Any

_EMPTY = inspect.Parameter.empty
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_NEEDED = ("prompt", "num_inference_steps", "generator", "output_type", "width", "height")
_IMAGES = frozenset({"images", "image"})
_MAKES = {"frames": "videos", "video": "videos", "videos": "videos", "audios": "sound", "audio": "sound"}
_LENGTHS = frozenset({"num_frames", "video_length", "frames"})  # of what makes several images a prompt
_PICTURE = re.compile(r"(?!(?:negative_)?ip_adapter)(?:\w+_)?(?:images?|videos?)|image_reference")
_CONTROLS = frozenset({"controlnet", "adapter"})  # parts of a pipeline that read a picture
# Names of pipelines that start from a picture although its argument has None as its default.
_FROM_PICTURE = re.compile(
    r"Img2Img|Image2Image|Inpaint|Fill|Edit|Pix2Pix|Upscale|SuperResolution|Refiner|Variation|Depth2|Layered"
)
_ELSEWHERE = "gate pictures that were made elsewhere with --lora-images"


@dataclass(frozen=True, slots=True)
class Task:
    """What a pipeline makes, and of what."""

    makes: tuple[str, ...]  # the fields of its output: "images", "frames"; () where its code names no class
    needs: tuple[str, ...]  # arguments beside the prompt that it cannot do without
    pictures: tuple[str, ...]  # arguments for pictures that it can do without
    lacks: tuple[str, ...]  # arguments that every image needs and this pipeline does not take
    lasts: bool = False  # it takes a number of frames
    controlled: bool = False  # a part of it reads a picture: a ControlNet, an adapter


def task_of(pipeline: Any) -> Task:
    """Return the task of a pipeline class of diffusers."""
    call = inspect.unwrap(pipeline.__call__)
    takes = inspect.signature(call).parameters
    pictures = [name for name in takes if _PICTURE.fullmatch(name) and takes[name].default in (None, _EMPTY)]
    optional = {name for name in pictures if _optional(pipeline, call, name)}
    required = [
        name
        for name, parameter in takes.items()
        if parameter.default is _EMPTY and parameter.kind in _NAMED and name not in ("self", *_NEEDED)
    ]
    return Task(
        getattr(pipeline, "makes", None) or tuple(_fields(call)),
        tuple(dict.fromkeys([*required, *(name for name in pictures if name not in optional)])),
        tuple(name for name in pictures if name in optional),
        tuple(name for name in _NEEDED if name not in takes),
        bool(_LENGTHS & set(takes)),
        bool(_CONTROLS & set(inspect.signature(pipeline.__init__).parameters)),
    )


def refusal(pipeline: Any) -> str:
    """Return why a pipeline makes no image of a prompt alone and what to do instead; "" if it makes one."""
    task = task_of(pipeline)
    if others := _other_output(task):
        return f"it makes {others}, and the gate judges images; name a text-to-image base, or {_ELSEWHERE}"
    if needs := _input(task):
        return f"it {needs}; name the text-to-image model of its family, or {_ELSEWHERE}"
    if task.lacks:
        return f"its call takes no {_listed(task.lacks)}; name a text-to-image base"
    return ""


def _other_output(task: Task) -> str:
    """Return what the pipeline makes if that is no image."""
    if task.lasts or {"frames", "video"} & set(task.makes):
        return "videos"
    if not task.makes or _IMAGES & set(task.makes):
        return ""
    return _MAKES.get(task.makes[0], _listed([name.replace("_", " ") for name in task.makes[:2]]))


def _input(task: Task) -> str:
    """Return what the pipeline does with the picture that it needs; "" if it needs none."""
    names = _listed([f"'{name}'" for name in task.needs])
    if any(name.startswith("mask") for name in task.needs):
        return f"paints into pictures (inpainting) and needs {names}"
    if task.controlled or any("control" in name for name in task.needs):
        return f"is led by a control picture and needs {names or 'one'}"
    if any(_PICTURE.fullmatch(name) for name in task.needs):
        return f"starts from a picture, as for editing, and needs {names}"
    return f"needs {names} beside a prompt" if task.needs else ""


def _listed(names: Sequence[str]) -> str:
    *first, last = names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def _optional(pipeline: Any, call: Any, name: str) -> bool:
    """Return whether a pipeline does without a picture: diffusers lists it for text, or its code says so."""
    if "mask" in name or "control" in name or _FROM_PICTURE.search(pipeline.__name__):
        return False
    if inspect.signature(call).parameters[name].default is _EMPTY:
        return False
    return text_to_image(pipeline.__name__) is pipeline or name in _compared_with_none(call)


def text_to_image(name: str) -> Any:
    """Return the class that `AutoPipelineForText2Image` makes of a pipeline's; None where it knows none."""
    auto: Any = importlib.import_module("diffusers.pipelines.auto_pipeline")
    known: Mapping[str, Any] = auto.AUTO_TEXT2IMAGE_PIPELINES_MAPPING
    return auto._get_task_class(known, name, throw_error_if_not_exist=False)


def _compared_with_none(call: Any) -> set[str]:
    """Return the names that a function's source compares with None."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(call)))
    except (OSError, TypeError, SyntaxError):
        return set()
    return {
        node.left.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Name)
        and any(isinstance(other, ast.Constant) and other.value is None for other in node.comparators)
    }


def _fields(call: Any) -> Iterator[str]:
    """Yield the fields of the output classes that a pipeline's code names."""
    output: Any = importlib.import_module("diffusers.utils").BaseOutput
    code = getattr(call, "__code__", None)  # a class without a call of its own has none
    for name in dict.fromkeys(_names(code) if code else ()):
        kind = call.__globals__.get(name)
        if isinstance(kind, type) and issubclass(kind, output):
            yield from (field.name for field in fields(kind))


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
