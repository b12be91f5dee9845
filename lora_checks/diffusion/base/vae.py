"""Locate a VAE that replaces the base's and determine its exact identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError
from lora_checks.core.known_digests import KnownDigests
from lora_checks.diffusion.base import hub

CONFIG = "config.json"
# Files of a VAE repository and of a whole pipeline; never pickles.
WANTED = [
    f"{folder}{name}" for folder in ("", "vae/") for name in (CONFIG, "diffusion_pytorch_model*.safetensors*")
]


@dataclass(frozen=True, slots=True)
class ResolvedVae:
    """A VAE on this machine."""

    path: Path  # a folder with config.json, or a .safetensors file that the base's config.json describes
    identity: str
    label: str
    contents: Contents | None = field(
        default=None, compare=False
    )  # None: from the hub, identified by its commit


def resolve_vae(text: str, known: KnownDigests | None = None) -> ResolvedVae:
    """Find a VAE; ``text`` is as in `Base.vae`. Raises `ConfigError` or `PrerequisiteError`."""
    path = Path(text)
    if not path.is_absolute():
        snapshot = hub.snapshot(text, WANTED, lambda folder: _inside(folder) is not None, f"the VAE {text}")
        found = _inside(snapshot) or snapshot
        return ResolvedVae(found, hub.identity(text, snapshot), hub.label(text, snapshot))
    if path.is_file():
        contents = Contents(path, known=known)
        sha256 = contents.sha256(path)
        return ResolvedVae(path, sha256, f"{path.stem} {sha256[:6]}", contents)
    folder = _inside(path)
    if folder is None:
        raise ConfigError(
            f"vae {path}: no config.json with .safetensors weights there, nor in a folder 'vae'"
        )
    contents = Contents(folder, known=known)
    identity = contents.of(folder)
    return ResolvedVae(folder, identity, f"{path.name} {identity[:6]}", contents)


def _inside(folder: Path) -> Path | None:
    for place in (folder, folder / "vae"):
        if (place / CONFIG).is_file() and any(place.glob("*.safetensors")):
            return place
    return None
