"""Where the base model lies on this machine, and what exactly it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from lora_checks.errors import ConfigError, PrerequisiteError
from lora_checks.records import Base, digest


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    folder: Path  # a pipeline directory with model_index.json
    identity: str  # "hub-id@commit", or the digest of every file of a local directory
    label: str  # for people: "miniature-sd 3f2a91"


def resolve(base: Base) -> ResolvedBase:
    """Find the pipeline directory of a policy's base; a hub id that is not cached yet is downloaded.

    Raises `ConfigError` for a directory that is no pipeline, `PrerequisiteError` if the hub cannot be
    reached or does not have it.
    """
    local = Path(base.model)
    if local.is_absolute():
        return _local(local)
    folder = _cached(base) or _download(base)
    commit = folder.name
    return ResolvedBase(folder, f"{base.model}@{commit}", f"{base.model} {commit[:6]}")


def _local(folder: Path) -> ResolvedBase:
    if not (folder / "model_index.json").is_file():
        raise ConfigError(
            f"base {folder}: no model_index.json there; name a diffusers pipeline directory or a hub id"
        )
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    identity = digest([(str(path.relative_to(folder)), _sha256(path)) for path in files])
    return ResolvedBase(folder, identity, f"{_name(folder)} {identity[:6]}")


def _name(folder: Path) -> str:
    generic = folder.name in {"pipeline", "model", "base"}  # then the folder above says more
    return f"{folder.parent.name}/{folder.name}" if generic else folder.name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _cached(base: Base) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    index = try_to_load_from_cache(base.model, "model_index.json", revision=base.revision)
    if not isinstance(index, str) or not _complete(Path(index)):
        return None
    return Path(index).parent


def _complete(index: Path) -> bool:
    """An interrupted download leaves an index without its parts; the safety checker is never loaded."""
    parts = json.loads(index.read_text(encoding="utf-8"))
    parts.pop("safety_checker", None)
    folders = [name for name, value in parts.items() if isinstance(value, list) and value[0] is not None]
    return all(_has_content(index.parent / name) for name in folders)


def _has_content(folder: Path) -> bool:
    """A model's small config arrives long before its weights."""
    names = {path.name for path in folder.glob("*") if path.is_file()}
    weights = any(name.endswith((".safetensors", ".bin")) for name in names)
    return weights if "config.json" in names else bool(names)


def _download(base: Base) -> Path:
    import os

    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:  # diffusers would return what is cached, whole or not
        raise _absent(base, "HF_HUB_OFFLINE is set")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    from diffusers import DiffusionPipeline

    try:
        folder = Path(DiffusionPipeline.download(base.model, revision=base.revision, safety_checker=None))
    except Exception as error:  # the hub client raises a dozen unrelated types
        raise _absent(base, type(error).__name__) from error
    if not _complete(folder / "model_index.json"):  # without a network it returns what is cached
        raise _absent(base, "the download is not complete")
    return folder


def _absent(base: Base, why: str) -> PrerequisiteError:
    at = f"@{base.revision}" if base.revision else ""
    return PrerequisiteError(
        f"base model {base.model}{at} is not on this machine and could not be downloaded ({why}); "
        f"run `huggingface-cli download {base.model}` where there is internet, "
        "or name a local pipeline directory with --base"
    )
