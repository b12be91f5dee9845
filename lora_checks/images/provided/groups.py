"""Divide the pictures of a folder by LoRA and training step, as their names tell them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lora_checks.core.errors import ConfigError, MeasureError
from lora_checks.images import decoding
from lora_checks.images.provided.picture_names import Names
from lora_checks.lora.find import natural
from lora_checks.lora.steps import PICTURES_OF

_STEP = re.compile(r"(?:s|steps?|it|iters?)?0*([0-9]{1,12})", re.IGNORECASE)
_EPOCH = re.compile(r"(?:e|ep|epochs?)0*([0-9]{1,12})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Group:
    """The pictures of one LoRA at one step, as the names spell them; "" where they tell nothing."""

    lora: str
    step: str
    keys: tuple[tuple[str, str], ...] = ()  # what else the names tell: ("rank", "16")

    @property
    def _variant(self) -> str:
        """The LoRA with its keys: "person-rank16"."""
        words = [f"{key}{text}" if text[:1].isdigit() else text for key, text in self.keys]
        return "-".join(filter(None, (self.lora, *words)))

    def facts(self, folder: Path, several: bool) -> dict[str, str]:
        """Return what the names tell, under the keys of a LoRA's own facts. ``e10`` is an epoch.

        Args:
            folder: of the pictures.
            several: whether the folder holds other groups too.
        """
        whole = folder.resolve().name
        run = "/".join(filter(None, (whole, self._variant))) if several else self._variant
        facts = {PICTURES_OF: run} if run else {}
        for key, pattern in (("steps", _STEP), ("epoch", _EPOCH)):
            if match := pattern.fullmatch(self.step):
                facts[key] = match[1]
        return facts

    def named(self, folder: Path) -> str:
        """Return a name for people, "person-000100"; with the folder's name if only the step is known."""
        return "-".join(filter(None, (self._variant or folder.resolve().name, self.step)))


def groups(folder: Path, names: Names | None) -> list[Group]:
    """Return the groups of a folder in natural order; none if the names tell nothing of a LoRA."""
    if names is None:
        return []
    try:
        paths = decoding.list_images(folder)
    except ConfigError:  # the verdict on the folder says so
        return []
    seen = {group for path in paths if (group := group_of(path, names)) is not None}
    return sorted(seen, key=lambda group: natural(Path(f"{group.lora}/{group.keys}/{group.step}")))


def group_of(path: Path, names: Names) -> Group | None:
    """Return the group of a picture; None if its name does not tell, or tells it in two ways."""
    try:
        origin = names.origin(path)
    except MeasureError:  # the error is the verdict of every group
        return None
    if origin is None or not (origin.lora or origin.step or origin.keys):
        return None
    return Group(origin.lora, origin.step, origin.keys)


def chosen(paths: Sequence[Path], names: Names | None, group: Group | None) -> list[Path]:
    """Return the pictures of a group, and those whose group is unknown: they may be any group's."""
    if group is None or names is None:
        return list(paths)
    return [path for path in paths if group_of(path, names) in (group, None)]
