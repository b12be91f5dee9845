"""Locate the base model on this machine and determine its exact identity."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.known_digests import KnownDigests
from lora_checks.core.records import Base
from lora_checks.diffusion.base import hub, modular
from lora_checks.diffusion.base.checkpoint import settings_of
from lora_checks.diffusion.base.gguf import is_here, resolve_gguf
from lora_checks.diffusion.base.vae import resolve_vae
from lora_checks.diffusion.quantised import networks

INDEXES = ("model_index.json", modular.INDEX)  # a folder with both is the pipeline of the first


@dataclass(frozen=True, slots=True)
class ResolvedBase:
    """A base model on this machine."""

    folder: (
        Path  # pipeline directory with an index of its parts; for a single file, the one with its settings
    )
    identity: str  # "hub-id@commit", or a digest of the content; with the VAE's identity if it was replaced
    label: str  # for people: "miniature-sd 3f2a91"
    file: Path | None = None  # a single .safetensors checkpoint
    vae: Path | None = None  # a folder or .safetensors file that replaces the base's VAE
    quantised: tuple[networks.Network, ...] = ()  # networks whose weights are
    hashed: tuple[Contents, ...] = field(default=(), compare=False)  # what ``identity`` is a digest of

    @property
    def gguf(self) -> tuple[Path, ...]:
        """The .gguf files in place of networks' weights."""
        return tuple(network.file for network in self.quantised if network.file is not None)

    def contents(self, known: KnownDigests | None = None) -> tuple[Contents, ...]:
        """Return every file that the base is loaded from; files from the hub are hashed now, unless known.

        Raises:
            ConfigError: A file cannot be hashed.
            PrerequisiteError: A download is damaged.
        """
        places = [path for path in (self.folder, self.file, self.vae, *self.gguf) if path is not None]
        hashed = {place for contents in self.hashed for place in contents.places}
        unknown = Contents(*(place for place in places if place not in hashed), known=known)
        hub.refuse_damaged(unknown)
        return (*self.hashed, unknown)


def resolve(base: Base, known: KnownDigests | None = None) -> ResolvedBase:
    """Find a policy's base and VAE; download a hub model that is not cached.

    Args:
        base: What the policy names.
        known: Digests of earlier processes; None hashes every byte of local files.

    Raises:
        ConfigError: A directory is not a pipeline.
        PrerequisiteError: The hub cannot be reached or does not have the model.
    """
    resolved = _quantised(_model(base, known), base, known)
    if base.vae is None:
        return resolved
    vae = resolve_vae(base.vae, known)
    identity, label = f"{resolved.identity} vae {vae.identity}", f"{resolved.label} with VAE {vae.label}"
    hashed = (*resolved.hashed, *([vae.contents] if vae.contents else []))
    return replace(resolved, identity=identity, label=label, vae=vae.path, hashed=hashed)


def _quantised(resolved: ResolvedBase, base: Base, known: KnownDigests | None) -> ResolvedBase:
    """Add the networks whose weights are quantised; those of the folder are in its identity already."""
    asked = networks.asked(base, resolved.folder)
    if asked and resolved.file is not None:
        raise ConfigError(
            f"{asked[0].place}: a single checkpoint cannot be quantised while it is loaded; name a pipeline "
            "folder or a hub id"
        )
    saved = () if resolved.file is not None else networks.saved(resolved.folder)
    for name, file in base.gguf.items():
        networks.refuse_absent(resolved.folder, name, file.place)
    files = [resolve_gguf(name, file, known) for name, file in base.gguf.items()]
    in_files = {file.network.name for file in files}
    found = [*(one for one in saved if one.name not in in_files), *asked, *(file.network for file in files)]
    identities = [*(one.identity for one in asked), *(f"{one.network.name} {one.identity}" for one in files)]
    label = ", ".join([resolved.label, *(f"{one.name} {one.words}" for one in found)])
    return replace(
        resolved,
        identity=" ".join([resolved.identity, *identities]),
        label=label,
        quantised=tuple(found),
        hashed=(*resolved.hashed, *(file.contents for file in files if file.contents is not None)),
    )


def present(base: Base) -> ResolvedBase | None:
    """Return the base if it is on this machine, without downloading anything; None if it is not.

    Raises:
        ConfigError: A directory is not a pipeline.
    """
    local = Path(base.model).is_absolute() or _cached(base) is not None
    local = local and all(is_here(file) for file in base.gguf.values())
    return resolve(base) if local else None


def _model(base: Base, known: KnownDigests | None) -> ResolvedBase:
    local = Path(base.model)
    if local.is_absolute():
        return _checkpoint(local, base.config, known) if local.is_file() else _local(local, known)
    folder = _cached(base) or _download(base)
    return ResolvedBase(folder, hub.identity(base.model, folder), hub.label(base.model, folder))


def _local(folder: Path, known: KnownDigests | None) -> ResolvedBase:
    _check_pipeline(folder)
    contents = Contents(folder, known=known)
    identity = contents.of(folder)
    return ResolvedBase(folder, identity, f"{_name(folder)} {identity[:6]}", hashed=(contents,))


def _checkpoint(file: Path, config: str | None, known: KnownDigests | None) -> ResolvedBase:
    folder, model = settings_of(file, config)
    _check_pipeline(folder)
    if not (folder / "model_index.json").is_file():
        raise ConfigError(
            f"base {file}: its settings are a modular pipeline's ({folder}), which diffusers does not load "
            "from a single file; name the folder of the whole pipeline"
        )
    contents = Contents(*([file] if model else [file, folder]), known=known)
    sha256 = contents.sha256(file)
    settings = hub.identity(model, folder) if model else contents.of(folder)
    identity, label = f"{sha256} config {settings}", f"{file.stem} {sha256[:6]}"
    return ResolvedBase(folder, identity, label, file, hashed=(contents,))


def _check_pipeline(folder: Path) -> None:
    if not any((folder / name).is_file() for name in INDEXES):
        raise ConfigError(
            f"base {folder}: no model_index.json there; name a diffusers pipeline directory or a hub id"
        )


def _name(folder: Path) -> str:
    generic = folder.name in {"pipeline", "model", "base"}  # then the folder above says more
    return f"{folder.parent.name}/{folder.name}" if generic else folder.name


def _cached(base: Base) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in INDEXES:
        index = try_to_load_from_cache(base.model, name, revision=base.revision)
        if isinstance(index, str):
            return Path(index).parent if _complete(Path(index), base.model) else None
    return None


def _complete(index: Path, model: str) -> bool:
    """Return whether a download has all its parts except the safety checker, which is never loaded."""
    if index.name == modular.INDEX:
        folders = modular.parts_of(index.parent, model)
    else:
        parts = json.loads(index.read_text(encoding="utf-8"))
        parts.pop("safety_checker", None)
        folders = [name for name, value in parts.items() if isinstance(value, list) and value[0] is not None]
    return all(_has_content(index.parent / name) for name in folders)


def _has_content(folder: Path) -> bool:
    """Return whether a part is complete: a model's small config arrives long before its weights."""
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
        if _is_modular(base):
            return _modular(base)
        raise _absent(base, type(error).__name__) from error
    if not _complete(folder / "model_index.json", base.model):  # without a network it returns what is cached
        raise _absent(base, "the download is not complete")
    return folder


def _is_modular(base: Base) -> bool:
    """Return whether a hub repository has the index of a modular pipeline."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(base.model, modular.INDEX, revision=base.revision)).is_file()
    except Exception:  # as above; that the base is absent is said there
        return False


def _modular(base: Base) -> Path:
    text = f"{base.model}@{base.revision}" if base.revision else base.model

    def whole(folder: Path) -> bool:
        return _complete(folder / modular.INDEX, base.model)

    return hub.snapshot(text, modular.WANTED, whole, f"base model {text}")


def _absent(base: Base, why: str) -> PrerequisiteError:
    at = f"@{base.revision}" if base.revision else ""
    return PrerequisiteError(
        f"base model {base.model}{at} is not on this machine and could not be downloaded ({why}); "
        f"run `hf download {base.model}` where there is internet, "
        "or name a local pipeline directory with --lora-base"
    )
