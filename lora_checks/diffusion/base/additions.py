"""What an identity of a hub base says beside its commit: networks that are quantised, and another VAE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lora_checks.core.contents import Contents
from lora_checks.core.records import Base
from lora_checks.diffusion.quantised.networks import Network


def as_asked(claimed: str, asked: Base) -> bool:
    """Return whether what follows the model in an identity is what a policy asks for.

    The version of the library that quantised is not compared, as those of torch and diffusers are not.

    Args:
        claimed: The identity of the base that was used.
        asked: The base that the policy names.

    Raises:
        ConfigError: A .gguf file of the policy cannot be hashed.
    """
    rest = claimed.partition(" ")[2]
    vae = ["vae .+"] if asked.vae else []
    return re.fullmatch(" ".join([*_quantised(asked), *_files(asked), *vae]), rest) is not None


def _quantised(asked: Base) -> Iterator[str]:
    for name, one in asked.quantization.items():
        identity = Network(name, one.library, one.format, one.skip, version="?").identity
        yield re.escape(identity).replace(re.escape("?"), "[^ )]+")


def _files(asked: Base) -> Iterator[str]:
    for name, one in asked.gguf.items():
        path = Path(one.file)
        if path.is_absolute():
            yield f"{name} {Contents(path).sha256(path)}"
            continue
        owner, repository, file = one.file.split("/", 2)
        model, _, revision = f"{owner}/{repository}".partition("@")
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else "[0-9a-f]+"
        yield f"{name} {re.escape(model)}@{commit}/{re.escape(file)}"
