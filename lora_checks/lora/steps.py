"""Determine the training step or epoch of a checkpoint from its metadata or its name.

Supported names are those of sd-scripts and musubi-tuner (``-step00000100``, and ``-000010`` for
an epoch), ai-toolkit (``_000000500``), OneTrainer (``-save-STEP-EPOCH-STEP``, the last within the epoch),
diffusers, SimpleTuner and XLabs (folder ``checkpoint-500``), diffusion-pipe (folders ``step500`` and
``epoch5``) and cloneofsimo's lora (``_e3_s500``). A number that is not in such a form is not a step:
``person_500``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

PICTURES_OF = "pictures of"  # the fact that names the training run of pictures without a LoRA file

_START, _END = r"(?:^|[-_. ])", r"(?=$|[-_. ])"
_NUMBER = r"0*([0-9]{1,12})"


def _patterns(*texts: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(text, re.IGNORECASE | re.ASCII) for text in texts)


_STEP = _patterns(
    rf"-save-{_NUMBER}-[0-9]+-[0-9]+$",
    rf"{_START}(?:global[-_]?)?(?:steps?|gs|iter(?:ation)?s?|checkpoint|ckpt)[-_= ]?{_NUMBER}{_END}",
    rf"{_START}{_NUMBER}[-_ ]?(?:steps?|its|iter(?:ation)?s?){_END}",
    rf"{_START}e[0-9]+_s{_NUMBER}{_END}",
    r"_0*([0-9]{1,9})(?<=_[0-9]{9})$",
)
_EPOCH = _patterns(
    rf"-save-[0-9]+-{_NUMBER}-[0-9]+$",
    rf"{_START}(?:epochs?|ep|e)[-_= ]?{_NUMBER}{_END}",
    r"(?<![0-9]{8})-0*([0-9]{1,6})(?<=-[0-9]{6})$",  # not the time after a date
)

_HALF = re.compile(r"[-_. ](?:high|low)[-_. ]noise$", re.IGNORECASE)  # of Wan 2.2's two files
_TIMESTAMP = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{2}-[0-9]{2}-[0-9]{2}")  # OneTrainer's


def step_of(path: str | PurePath, facts: Mapping[str, str]) -> int | None:
    """Return the training steps of a file: ``facts["steps"]`` if stated, else from the file or folder name.

    Returns None if neither states them; an epoch is not a step.
    """
    return _said(facts, "steps") if "steps" in facts else _named(PurePath(path), _STEP)


def epoch_of(path: str | PurePath, facts: Mapping[str, str]) -> int | None:
    """Return the epochs of a file likewise. The six digits of ``step-000100`` are not an epoch."""
    if "epoch" in facts:
        return _said(facts, "epoch")
    told = _EPOCH if _named(PurePath(path), _STEP) is None else _EPOCH[:-1]
    return _named(PurePath(path), told)


def run_of(path: str | PurePath) -> str:
    """Return what the checkpoints of one run share: the path without step and epoch.

    ``out`` for ``out/checkpoint-500/pytorch_lora_weights.safetensors``, ``runs/person`` for
    ``runs/person-step00000100.safetensors``.
    """
    path = PurePath(path)
    name = _told_by(path)
    folder = path.parent if name == _HALF.sub("", path.stem) else path.parent.parent
    for pattern in (*_STEP, *_EPOCH, _TIMESTAMP):
        name = pattern.sub("", name)
    return str(folder / name.strip("-_. "))


def _said(facts: Mapping[str, str], key: str) -> int | None:
    text = facts[key].strip()
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def _named(path: PurePath, patterns: tuple[re.Pattern[str], ...]) -> int | None:
    name = _told_by(path)
    found = (pattern.search(name) for pattern in patterns)
    return next((int(match[1]) for match in found if match), None)


def _told_by(path: PurePath) -> str:
    """Return the file's name, or its folder's if only that has a number, as in ``checkpoint-500/weights``."""
    names = (_HALF.sub("", path.stem), path.parent.name)
    telling = (name for name in names if any(pattern.search(name) for pattern in (*_STEP, *_EPOCH)))
    return next(telling, names[0])
