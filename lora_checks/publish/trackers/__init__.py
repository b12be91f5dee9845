"""Log a finished report to the experiment trackers that a team already uses.

Each tracker is a module with ``log(document, directory, where) -> str``: ``directory`` holds the report's
files, ``where`` is the project, experiment or folder ("" for the tracker's default), and the returned
sentence says where to look. It uses the tracker's own client, which reads its usual environment variables;
a client is an optional extra and imported only when used.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from lora_checks.core.errors import ConfigError, LoraChecksError, TrackerError, first_line
from lora_checks.core.extensions import ExtensionPoint
from lora_checks.core.words import printable

F = TypeVar("F", bound=Callable[..., str])

TRACKERS = {  # name -> (package of its client, function that logs)
    "wandb": ("wandb", "lora_checks.publish.trackers.to_wandb:log"),
    "mlflow": ("mlflow", "lora_checks.publish.trackers.to_mlflow:log"),
    "tensorboard": ("tensorboard", "lora_checks.publish.trackers.to_tensorboard:log"),
    "trackio": ("trackio", "lora_checks.publish.trackers.to_trackio:log"),
}
EXTENSIONS = ExtensionPoint("lora_checks.trackers", "tracker", TRACKERS)


def tracker(name: str) -> Callable[[F], F]:
    """Declare a tracker for ``--lora-log NAME``: a function ``(document, directory, where) -> sentence``.

    It runs after the report is written, in a process of its own that imports the declaring file again.

    Args:
        name: What ``--lora-log`` calls it.

    Raises:
        ConfigError: The name is one of the gate's own trackers, or another file declares it.

    Example:
        >>> @tracker("chat")
        ... def chat(document, directory, where):
        ...     return f"posted {document['outcome']} to {where}"
    """
    return EXTENSIONS.declare(name, depth=2)


@dataclass(frozen=True, slots=True)
class Target:
    """One part of ``--lora-log wandb,tensorboard:runs``."""

    tracker: str
    where: str = ""  # project (wandb, trackio), experiment (mlflow) or folder (tensorboard)
    file: str = ""  # the Python file that declares the tracker; "" if the gate or a package does

    def __str__(self) -> str:
        return f"{self.tracker}:{self.where}" if self.where else self.tracker


def chosen(text: str | None, option: str = "--lora-log") -> tuple[Target, ...]:
    """Parse the trackers that ``text`` names and check that they are installed.

    Raises `ConfigError` for an unknown name or a missing package, so that a run fails before an hour of
    generation, not after.
    """
    if text is None:
        return ()
    targets = [
        Target(name.strip(), where.strip())
        for name, _, where in (part.partition(":") for part in text.split(",") if part.strip())
    ]
    if not targets:
        raise ConfigError(f"{option} names no tracker; it takes one or more of {_known()}")
    return tuple(dict.fromkeys(_checked(target, option) for target in targets))


def log(target: Target, document: Mapping[str, Any], directory: Path) -> str:
    """Log a report and return a sentence that says where to look.

    Raises `TrackerError`, whatever the client raises: the report is already on disk and its verdict stands.
    """
    try:
        return printable(str(_logger(target.tracker)(document, directory, target.where)))
    except LoraChecksError:
        raise
    except (Exception, SystemExit) as trouble:
        message = without_password(f"{type(trouble).__name__}: {first_line(trouble)}")
        raise TrackerError(printable(message)) from trouble


def refusal(target: Target, why: str, folder: Path) -> str:
    """Say why a report was not logged, and how to log it later."""
    return printable(f"{target.tracker}: not logged: {why}; later: {again(target, folder)}")


def again(target: Target, folder: Path) -> str:
    """Return the command that logs the report in ``folder``."""
    return shlex.join(["lora-checks", *command(target, folder)])


def command(target: Target, folder: Path) -> list[str]:
    """Return the arguments of ``lora-checks`` that log a finished report."""
    declared = ["--from", target.file] if target.file else []
    return ["log", str(folder), "--to", str(target), *declared]


def without_password(text: str) -> str:
    """Remove user names and passwords from URLs: terminal output ends up in CI logs."""
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _known() -> str:
    return ", ".join([*TRACKERS, *EXTENSIONS.names()])


def _logger(name: str) -> Any:
    extension = EXTENSIONS.get(name)
    if extension is not None:
        return extension.load()
    module, _, function = TRACKERS[name][1].partition(":")
    return getattr(import_module(module), function)


def _checked(target: Target, option: str) -> Target:
    name, extension = target.tracker, EXTENSIONS.get(target.tracker)
    if extension is not None:
        extension.load()
        return replace(target, file=extension.file)
    if name not in TRACKERS:
        raise ConfigError(f"{option}: '{name}' is not a tracker; use {_known()}")
    client = find_spec(TRACKERS[name][0])
    if client is None or client.origin is None:  # no origin: a folder, such as wandb's own ./wandb
        raise ConfigError(
            f"{option} {name} needs the package '{TRACKERS[name][0]}', which is not installed; "
            f"install it with: pip install 'lora-checks[{name}]'"
        )
    return target
