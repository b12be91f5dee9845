"""Tell what diffusers' own loader makes of a LoRA on a base, by running it on the base without its weights.

A LoRA that passes here is loaded elsewhere by ``pipe.load_lora_weights``, which may leave out layers, apply
them at another strength or refuse the file. That changes no verdict; it is for whoever publishes the file.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from lora_checks.core.device import library_versions
from lora_checks.core.errors import LoraChecksError, first_line
from lora_checks.core.records import Lora, digest
from lora_checks.core.store import Store
from lora_checks.diffusion.base import ResolvedBase
from lora_checks.diffusion.loader.loading import Loading, Strength

__all__ = ["FOLDER", "Loading", "kept", "of_folder"]

FOLDER = "loaders"  # of the store
VERSION = 1  # of the comparison; bump to redo the stored ones


def kept(store: Store, lora: Lora, base: ResolvedBase, allowed: tuple[str, ...] = ()) -> Loading:
    """Return what diffusers loads of the LoRA, from the store or found out now. Never raises."""
    decisive = [VERSION, lora.sha256, base.identity, sorted(allowed), library_versions()]
    path = store.root / FOLDER / f"{digest(decisive)}.json"

    def make() -> dict[str, Any]:
        about = {"lora": lora.sha256, "versions": list(library_versions())}  # for people who clean up
        return {"loading": dataclasses.asdict(_loading(lora, base.folder, allowed)), **about}

    try:
        content = store.record(path, make)["loading"]
        return Loading(**content | {"others": tuple(Strength(**each) for each in content["others"])})
    except Exception as error:
        return _unknown(lora, error)


def of_folder(lora: Lora, folder: Path, allowed: tuple[str, ...] = ()) -> Loading:
    """Return what diffusers loads of the LoRA on a pipeline directory. Never raises.

    Args:
        lora: The inspected file.
        folder: The directory; its weights are not read.
        allowed: fnmatch patterns of tensor names that may have no place on the base.
    """
    try:
        return _loading(lora, folder, allowed)
    except Exception as error:
        return _unknown(lora, error)


def _loading(lora: Lora, folder: Path, allowed: tuple[str, ...]) -> Loading:
    from lora_checks.diffusion.loader.running import loading

    return loading(lora, folder, allowed)


def _unknown(lora: Lora, error: Exception) -> Loading:
    """Return the answer where the question itself failed; our own sentences say why, others their class."""
    why = first_line(error) if isinstance(error, LoraChecksError) else type(error).__name__
    why = why.removeprefix(f"{lora.path.name}: ")
    return Loading(len(lora.layers), unknown=why)
