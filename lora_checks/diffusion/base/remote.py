"""Ask the hub about a base that is not on this machine: its size, its licence, and who may download it."""

from __future__ import annotations

from typing import Any

from lora_checks.core.memory import gib
from lora_checks.core.records import Base

SECONDS = 10.0  # to wait for the hub


def described(base: Base) -> str:
    """Return what the hub says of a base, and the command that fetches it."""
    at = f" --revision {base.revision}" if base.revision else ""
    command = f"fetch it with `hf download {base.model}{at}`"
    facts = _facts(base)
    return "; ".join([*facts, command])


def size(base: Base) -> int | None:
    """Return the bytes of a base's weights as the hub states them; None if it cannot be asked."""
    info = _info(base)
    return None if isinstance(info, str) else sum(_sizes(info))


def _facts(base: Base) -> list[str]:
    info = _info(base)
    if isinstance(info, str):
        return [info]
    sizes = _sizes(info)
    return [*([f"{gib(sum(sizes))} of weights"] if any(sizes) else []), *_licence(base, info)]


def _info(base: Base) -> Any:
    """Return what the hub says, or a sentence on why it says nothing."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, so its size is not known"
    try:
        return HfApi().model_info(base.model, revision=base.revision, files_metadata=True, timeout=SECONDS)
    except Exception as error:  # the hub client raises a dozen unrelated types
        return f"the hub cannot be asked ({type(error).__name__})"


def _sizes(info: Any) -> list[int]:
    """List the weights that diffusers loads: those in the folders of components, of the plain variant."""
    return [
        sibling.size or 0
        for sibling in info.siblings or ()
        if sibling.rfilename.endswith(".safetensors") and _is_loaded(sibling.rfilename)
    ]


def _is_loaded(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return bool(folder) and "." not in file.removesuffix(".safetensors").split("-of-")[0]


def _licence(base: Base, info: Any) -> list[str]:
    card = info.card_data or {}
    name = card.get("license_name") or card.get("license")
    licence = [f"licence {name}"] if name else []
    if info.gated:
        licence.append(f"accept its terms at https://huggingface.co/{base.model} and run `hf auth login`")
    return licence
