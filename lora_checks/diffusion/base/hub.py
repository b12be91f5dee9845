"""A part of a hub repository on this machine: found in the cache, or downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.errors import PrerequisiteError

BLOBS = "blobs"  # folder of the cache with every file's content
SHA256 = re.compile("[0-9a-f]{64}")


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


def refuse_damaged(contents: Contents) -> None:
    """`PrerequisiteError` for a file of the hub's cache that does not hold what its name says.

    The commit alone is the identity of a base on the hub. In the cache a large file is ``blobs/SHA256``, and
    the snapshot a link to it, so whether the bytes are those of the commit can be seen here.
    """
    for path, sha256 in contents:
        blob = path.resolve()
        if blob.parent.name == BLOBS and SHA256.fullmatch(blob.name) and blob.name != sha256:
            raise PrerequisiteError(
                f"{path} in the hub's cache is damaged or was edited: its SHA-256 is {sha256[:12]} and not "
                f"{blob.name[:12]}; delete {blob} and download it again"
            )
