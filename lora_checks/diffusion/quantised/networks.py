"""Which networks of a base are quantised, how, and whether that can be loaded here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, PrerequisiteError
from lora_checks.core.records import Base
from lora_checks.diffusion.quantised import formats, gguf_file

_KEY = "quantization_config"  # of a network's config.json
_TORCHAO = {  # torchao's configurations, as a saved network names them
    "Int8WeightOnlyConfig": "int8wo",
    "Int8DynamicActivationInt8WeightConfig": "int8dq",
    "Float8WeightOnlyConfig": "fp8wo",
    "Float8DynamicActivationFloat8WeightConfig": "fp8dq",
}
_QUANTO = {"int8": "int8", "float8": "fp8", "int4": "int4", "int2": "int2"}


@dataclass(frozen=True, slots=True)
class Network:
    """One quantised network of a base."""

    name: str  # the pipeline's: "transformer"
    library: str  # of `formats.LIBRARIES`, or `formats.GGUF`
    format: str  # "nf4"; of a .gguf file the type of most of its weights
    skip: tuple[str, ...] = ()
    file: Path | None = None  # a .gguf file
    saved: bool = False  # its folder has it quantised
    version: str = ""  # of the library that quantises it while it is loaded
    place: str = field(default="", compare=False)  # for messages

    @property
    def words(self) -> str:
        """How it is quantised: "bitsandbytes nf4"."""
        return f"{self.library} {self.format}"

    @property
    def identity(self) -> str:
        """What decides the values of weights that are quantised while they are loaded."""
        skip = f" without {', '.join(self.skip)}" if self.skip else ""
        return f"{self.name} {self.words}{skip} ({self.library} {self.version})"


def asked(base: Base, folder: Path) -> tuple[Network, ...]:
    """Return the networks that a policy has quantised while they are loaded.

    Raises:
        ConfigError: The base has no such network, or its folder has it quantised.
        PrerequisiteError: The library is not installed; the message names the extra.
    """
    saved_already = {network.name for network in saved(folder)} if base.quantization else set()
    found = []
    for name, one in base.quantization.items():
        refuse_absent(folder, name, one.place)
        if one.library == formats.CASTING and (name.startswith("vae") or not _of_diffusers(folder, name)):
            raise ConfigError(
                f"{one.place}: diffusers casts its own denoisers alone, and no {name}; take torchao or quanto"
            )
        if name in saved_already:
            raise ConfigError(f"{one.place}: this base was saved with its {name} quantised; remove the key")
        version = installed(formats.LIBRARIES[one.library], one.place)
        found.append(Network(name, one.library, one.format, one.skip, version=version, place=one.place))
    return tuple(found)


def saved(folder: Path) -> tuple[Network, ...]:
    """Return the networks that a pipeline's folder has quantised.

    Raises:
        ConfigError: One is quantised in a way that no LoRA can be proven on.
    """
    found = []
    for path in sorted(folder.glob("*/config.json")):
        config = json.loads(path.read_text(encoding="utf-8")).get(_KEY)
        if isinstance(config, dict) and config:
            found.append(_saved(path, config))
    return tuple(found)


def _saved(path: Path, config: Mapping[str, Any]) -> Network:
    method = str(config.get("quant_method", ""))
    library = {"bitsandbytes": "bitsandbytes", "torchao": "torchao", "quanto": "quanto"}.get(method)
    name = _format(method, config)
    if library is None or name not in formats.LIBRARIES[library].formats:
        how = f"{method or 'an unknown method'}{f' {name}' if name else ''}"
        raise ConfigError(
            f"base {path.parent}: is quantised by {how}, on which no LoRA can be proven here; take a base "
            f"quantised by {', '.join(formats.LIBRARIES)} or as GGUF, or the plain one (docs/bases.md)"
        )
    return Network(path.parent.name, library, name, saved=True, place=f"base {path.parent}")


def _format(method: str, config: Mapping[str, Any]) -> str:
    if method == "bitsandbytes":
        return str(config.get("bnb_4bit_quant_type", "fp4")) if config.get("load_in_4bit") else "int8"
    if method == "quanto":
        return _QUANTO.get(str(config.get("weights_dtype", config.get("weights"))), "")
    if method == "torchao":
        kind = config.get("quant_type", {})
        kind = kind.get("default", {}).get("_type", "") if isinstance(kind, dict) else kind
        return _TORCHAO.get(str(kind), str(kind))
    return ""


def of_file(name: str, file: Path, place: str) -> Network:
    """Return the network that a .gguf file has the weights of.

    Raises:
        ConfigError: The file is damaged.
        PrerequisiteError: The package that reads it is not installed.
    """
    installed(formats.GGUF_PACKAGE, place)
    return Network(name, formats.GGUF, gguf_file.read(file).types[0], file=file, place=place)


def refuse_absent(folder: Path, name: str, place: str) -> None:
    """Raise `ConfigError` for a network that the pipeline does not have."""
    parts = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if name not in parts:
        raise ConfigError(f"{place}: this base has no network '{name}'; it has {', '.join(parts)}")


def check(networks: tuple[Network, ...], folder: Path, device: str, offload: str) -> None:
    """Check that a run can load and run quantised networks, before anything is loaded.

    Raises:
        ConfigError: The device cannot run a format, or diffusers does not read a type of a .gguf file.
        PrerequisiteError: A library is not installed.
    """
    kind = device.partition(":")[0]
    for network in networks:
        library = formats.LIBRARIES.get(network.library, formats.GGUF_PACKAGE)
        installed(library, network.place)
        able = formats.devices(network.library, network.format, _of_diffusers(folder, network.name))
        if kind not in able:
            raise ConfigError(
                f"{network.place}: {network.library} {network.format} does not run on {kind} (it runs on "
                f"{', '.join(able)}); {_instead(kind)}"
            )
        if offload == "sequential" or (offload == "group" and exchanged_whole((network,))):
            raise ConfigError(
                f"{network.place}: --lora-offload {offload} cannot take a quantised network apart; use "
                "--lora-offload model"
            )
        if network.file is not None:
            gguf_file.refuse_unknown(network.file, gguf_file.read(network.file))


def exchanged_whole(networks: tuple[Network, ...]) -> bool:
    """Return whether a network has a format whose layers cannot leave a device one by one."""
    return any(network.library != formats.CASTING for network in networks)


def versions(networks: tuple[Network, ...]) -> tuple[str, ...]:
    """Return the versions of the libraries that a base's quantised layers compute with."""
    found = {network.library for network in networks} & formats.LIBRARIES.keys() - {formats.CASTING}
    packages = sorted(formats.LIBRARIES[library].package for library in found)
    return tuple(f"{package} {metadata.version(package)}" for package in packages)


def _instead(kind: str) -> str:
    if kind == "cpu":
        return "choose torchao int8wo, quanto int8 or a .gguf file there, or pass --lora-device cuda"
    return "choose another format, such as torchao int8wo"


def _of_diffusers(folder: Path, name: str) -> bool:
    """Return whether a network is diffusers': its config.json names a class of it."""
    path = folder / name / "config.json"
    return "_diffusers_version" in json.loads(path.read_text(encoding="utf-8"))


def installed(library: formats.Library, place: str) -> str:
    """Return a library's version. Raises `PrerequisiteError`, which names the extra, without it."""
    try:
        return metadata.version(library.package)
    except metadata.PackageNotFoundError:
        raise PrerequisiteError(
            f"{place}: {library.package} is not installed; pip install 'lora-checks[{library.extra}]'"
        ) from None
