"""A part of a hub repository on this machine: found in the cache, or downloaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lora_checks.errors import PrerequisiteError


def snapshot(text: str, patterns: Sequence[str], whole: Callable[[Path], bool], what: str) -> Path:
    """The folder of a revision (its name is the commit) with the files of ``patterns``.

    ``text`` is "owner/name" or "owner/name@revision". An interrupted download leaves a folder without
    all its files, so ``whole`` decides. Raises `PrerequisiteError`, which says that ``what`` is missing.
    """
    from huggingface_hub import constants

    found = _snapshot(text, patterns, whole, local=True)
    if isinstance(found, Path):
        return found
    why = "HF_HUB_OFFLINE is set"
    if not constants.HF_HUB_OFFLINE:
        os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
        found = _snapshot(text, patterns, whole, local=False)
        if isinstance(found, Path):
            return found
        why = found
    raise PrerequisiteError(f"{what} is not on this machine and could not be downloaded ({why})")


def _snapshot(text: str, patterns: Sequence[str], whole: Callable[[Path], bool], local: bool) -> Path | str:
    """The folder, or why there is none."""
    from huggingface_hub import snapshot_download

    model, _, revision = text.partition("@")
    try:
        folder = Path(
            snapshot_download(
                model, revision=revision or None, allow_patterns=list(patterns), local_files_only=local
            )
        )
    except Exception as error:  # the hub client raises a dozen unrelated types
        return type(error).__name__
    return folder if whole(folder) else "it has not the files that are needed"


def identity(text: str, folder: Path) -> str:
    """ "owner/name@commit"."""
    return f"{text.partition('@')[0]}@{folder.name}"


def label(text: str, folder: Path) -> str:
    """For people: "owner/name 3f2a91"."""
    return f"{text.partition('@')[0]} {folder.name[:6]}"
