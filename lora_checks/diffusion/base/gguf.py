"""Locate a .gguf file that has the weights of a denoiser, and determine its exact identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.known_digests import KnownDigests
from lora_checks.core.records import Base, NetworkFile
from lora_checks.diffusion.base import hub
from lora_checks.diffusion.quantised import networks


@dataclass(frozen=True, slots=True)
class ResolvedGguf:
    """A .gguf file on this machine."""

    network: networks.Network
    identity: str  # a digest of its bytes, or "owner/name@commit/file.gguf"
    contents: Contents | None = field(default=None, compare=False)  # None: identified by its commit


def resolve_gguf(name: str, asked: NetworkFile, known: KnownDigests | None = None) -> ResolvedGguf:
    """Find the .gguf file of a network; one of the hub is downloaded if it is not cached.

    Raises:
        ConfigError: It is damaged.
        PrerequisiteError: The hub cannot be reached, or the package that reads it is not installed.
    """
    if Path(asked.file).is_absolute():
        path = Path(asked.file)
        network = networks.of_file(name, path, asked.place)
        contents = Contents(path, known=known)
        return ResolvedGguf(network, contents.sha256(path), contents)
    model, file = _on_hub(asked.file)
    snapshot = hub.snapshot(model, [file], lambda folder: (folder / file).is_file(), f"{model}, file {file},")
    identity = f"{hub.identity(model, snapshot)}/{file}"
    return ResolvedGguf(networks.of_file(name, snapshot / file, asked.place), identity)


def is_here(asked: NetworkFile) -> bool:
    """Return whether a .gguf file is on this machine, without downloading it."""
    if Path(asked.file).is_absolute():
        return True
    from huggingface_hub import try_to_load_from_cache

    model, file = _on_hub(asked.file)
    name, _, revision = model.partition("@")
    return isinstance(try_to_load_from_cache(name, file, revision=revision or None), str)


def absent(base: Base) -> str:
    """Return which .gguf file of the hub is not here and the command that fetches it; "" if all are here."""
    for asked in base.gguf.values():
        if not is_here(asked):
            model, file = _on_hub(asked.file)
            name, _, revision = model.partition("@")
            at = f" --revision {revision}" if revision else ""
            return f"{asked.file} is not on this machine; fetch it with `hf download {name} {file}{at}`"
    return ""


def _on_hub(text: str) -> tuple[str, str]:
    """Split "owner/name@revision/folder/file.gguf" after the repository."""
    owner, repository, file = text.split("/", 2)
    return f"{owner}/{repository}", file
