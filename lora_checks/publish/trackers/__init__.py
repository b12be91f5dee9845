"""A finished report, logged to the experiment trackers that a team already looks at.

Each tracker is one module with ``log(document, directory, where) -> str``: ``directory`` holds the report's
files, ``where`` is the project, experiment or folder ("" for the tracker's own choice), and the sentence that
is returned says where to look. It speaks through the tracker's own client, which obeys the environment
variables of its users; a client is an optional extra and imported when it is used.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, LoraChecksError, TrackerError, first_line
from lora_checks.core.words import printable

TRACKERS = {  # name -> (package of its client, who logs)
    "wandb": ("wandb", "lora_checks.publish.trackers.to_wandb:log"),
    "mlflow": ("mlflow", "lora_checks.publish.trackers.to_mlflow:log"),
    "tensorboard": ("tensorboard", "lora_checks.publish.trackers.to_tensorboard:log"),
    "trackio": ("trackio", "lora_checks.publish.trackers.to_trackio:log"),
}


@dataclass(frozen=True, slots=True)
class Target:
    """One part of ``--lora-log wandb,tensorboard:runs``."""

    tracker: str
    where: str = ""  # project (wandb, trackio), experiment (mlflow) or folder (tensorboard)

    def __str__(self) -> str:
        return f"{self.tracker}:{self.where}" if self.where else self.tracker


def chosen(text: str | None, option: str = "--lora-log") -> tuple[Target, ...]:
    """The trackers that ``text`` names, each of them installed.

    Raises `ConfigError` for an unknown name or a missing package: a run has to know before an hour of
    generation, not after.
    """
    if text is None:
        return ()
    targets = [
        Target(name.strip(), where.strip())
        for name, _, where in (part.partition(":") for part in text.split(",") if part.strip())
    ]
    if not targets:
        raise ConfigError(f"{option} names no tracker; it takes one or more of {', '.join(TRACKERS)}")
    for target in targets:
        _check(target.tracker, option)
    return tuple(dict.fromkeys(targets))


def log(target: Target, document: Mapping[str, Any], directory: Path) -> str:
    """Log a report; the sentence that is returned says where to look.

    Raises `TrackerError`, whatever the client raises: the report is whole on disk and its verdict stands.
    """
    module, _, function = TRACKERS[target.tracker][1].partition(":")
    try:
        return str(getattr(import_module(module), function)(document, directory, target.where))
    except LoraChecksError:
        raise
    except Exception as trouble:
        said = without_password(f"{type(trouble).__name__}: {first_line(trouble)}")
        raise TrackerError(printable(said)) from trouble


def refusal(target: Target, why: str, folder: Path) -> str:
    return printable(f"{target.tracker}: not logged: {why}; later: {again(target, folder)}")


def again(target: Target, folder: Path) -> str:
    return shlex.join(["lora-checks", "log", str(folder), "--to", str(target)])


def without_password(text: str) -> str:
    """Addresses without what may stand before their @: a terminal's text ends up in logs of CI."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _check(name: str, option: str) -> None:
    if name not in TRACKERS:
        raise ConfigError(f"{option} knows no tracker '{name}', only {', '.join(TRACKERS)}")
    found = find_spec(TRACKERS[name][0])
    if found is None or found.origin is None:  # without an origin it is a folder, such as wandb's own ./wandb
        raise ConfigError(
            f"{option} {name} needs the package '{TRACKERS[name][0]}', which is not installed; "
            f"install it with: pip install 'lora-checks[{name}]'"
        )
