"""Get files of a hub repository, from the cache or by download."""

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
    """Return a revision's folder, named after its commit, with the files that match ``patterns``.

    Args:
        text: "owner/name" or "owner/name@revision".
        patterns: The files to get.
        whole: Whether a folder is complete; an interrupted download leaves an incomplete one.
        what: What is missing, as the subject of the error message.

    Raises:
        PrerequisiteError: The files are neither cached nor can they be downloaded.
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
    """Return the folder, or the reason why there is none."""
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
    return folder if whole(folder) else "the repository lacks files that are needed"


def identity(text: str, folder: Path) -> str:
    """Return "owner/name@commit"."""
    return f"{text.partition('@')[0]}@{folder.name}"


def label(text: str, folder: Path) -> str:
    """Return a label for people: "owner/name 3f2a91"."""
    return f"{text.partition('@')[0]} {folder.name[:6]}"


def refuse_damaged(contents: Contents) -> None:
    """Raise `PrerequisiteError` for a file of the hub's cache whose content does not match its name.

    The identity of a hub base is its commit alone. The cache keeps a large file as ``blobs/SHA256`` and links
    to it from the snapshot, so its name tells whether the bytes are those of the commit.
    """
    for path, sha256 in contents:
        blob = path.resolve()
        if blob.parent.name == BLOBS and SHA256.fullmatch(blob.name) and blob.name != sha256:
            raise PrerequisiteError(
                f"{path} in the hub's cache is damaged or was edited: its SHA-256 is {sha256[:12]} and not "
                f"{blob.name[:12]}; delete {blob} and download it again"
            )
