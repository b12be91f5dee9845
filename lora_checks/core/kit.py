"""A kit: one folder with every download of a policy, to be carried to a machine without internet."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from lora_checks.core.errors import ConfigError

FACES = "INSIGHTFACE_HOME"  # of the environment: where packs of insightface are
_PLACES = {"HF_HOME": "huggingface", "TORCH_HOME": "torch", FACES: "insightface"}
_MORE_SPECIFIC = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")  # would overrule HF_HOME


def use(folder: Path, *, offline: bool) -> None:
    """Let every library look for weights in the kit, and nowhere else.

    Args:
        folder: The kit.
        offline: Never ask the hub, even where there is internet.

    Raises:
        ConfigError: There is no such kit, or the hub's client has been imported already and would not notice.
    """
    if offline and not (folder / _PLACES["HF_HOME"]).is_dir():
        raise ConfigError(f"--lora-offline: {folder} is no kit; `lora-checks fetch --to {folder}` makes one")
    if "huggingface_hub.constants" in sys.modules and not _is_used(folder):
        raise ConfigError(f"--lora-offline: set HF_HOME={folder / _PLACES['HF_HOME']} before Python starts")
    for name in _MORE_SPECIFIC:
        os.environ.pop(name, None)
    os.environ |= _environment(folder)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def _environment(folder: Path) -> dict[str, str]:
    return {name: str(folder.resolve() / place) for name, place in _PLACES.items()}


def _is_used(folder: Path) -> bool:
    return all(os.environ.get(name) == value for name, value in _environment(folder).items())
