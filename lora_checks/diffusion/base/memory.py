"""Use diffusers' ways to generate on an accelerator that is too small for the whole pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lora_checks.core.errors import ConfigError, GenerationError
from lora_checks.diffusion.base import groups
from lora_checks.diffusion.base.family import has, index_of
from lora_checks.policy.strict_yaml import suggestion

AUTO = "auto"  # "none" where the weights fit, "model" where the largest network does, "group" for its blocks
OFFLOADS = (AUTO, "none", "model", "group", "sequential")
SAVINGS = ("vae-slicing", "vae-tiling", "attention-slicing")
# Tiles are blended at their edges, and sliced attention is another kernel. Slices of the VAE are batches
# of one, no different from another --lora-batch-size; where weights are kept changes no value.
OTHER_PIXELS = ("vae-tiling", "attention-slicing")


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory savings of a run."""

    offload: str = "none"  # of `OFFLOADS`
    save: tuple[str, ...] = ()

    @property
    def pixels(self) -> tuple[str, ...]:
        """The savings that change pixels and so belong to an image's recipe, in a fixed order."""
        return tuple(name for name in OTHER_PIXELS if name in self.save)


def choose_memory(offload: str, save: str | None, device: str) -> Memory:
    """Read ``--lora-offload`` and ``--lora-save-memory``. Raises `ConfigError`."""
    if offload == AUTO and not device.startswith("cuda"):  # elsewhere nothing is gained by it
        offload = "none"
    if offload != "none" and device == "cpu":
        raise ConfigError(
            f"--lora-offload {offload}: moves weights off an accelerator, and this run is on the cpu"
        )
    names = [] if save is None else [name.strip() for name in save.split(",")]
    for name in names:
        if name not in SAVINGS:
            raise ConfigError(
                f"--lora-save-memory: '{name}' is not a way to save memory; {suggestion(name, SAVINGS)}"
            )
    return Memory(offload, tuple(name for name in SAVINGS if name in names))


def check_memory(memory: Memory, folder: Path) -> None:
    """Raise `ConfigError` for attention slicing without a UNet, which diffusers would silently ignore."""
    if "attention-slicing" in memory.save and not has(index_of(folder), "unet"):
        raise ConfigError(
            "--lora-save-memory attention-slicing: this base has no UNet, whose attention it slices"
        )


def save_memory(pipe: Any, memory: Memory, device: str) -> None:
    """Switch the memory savings on. Raises `GenerationError` if the VAE does not support one.

    On an accelerator the VAE decodes one image at a time without being asked: in float32 it takes 3 GiB for
    each image of 1024 x 1024 pixels.
    """
    vae: Any = getattr(pipe, "vae", None)
    if device != "cpu" and hasattr(vae, "enable_slicing"):
        vae.enable_slicing()
    for name, switch in (("vae-slicing", "enable_slicing"), ("vae-tiling", "enable_tiling")):
        if name in memory.save:
            if not hasattr(vae, switch):
                raise GenerationError(
                    f"--lora-save-memory {name}: {type(vae).__name__} of this base cannot do it"
                )
            getattr(vae, switch)()
    if "attention-slicing" in memory.save:
        pipe.enable_attention_slicing()


def place(pipe: Any, device: str, memory: Memory) -> None:
    """Put the pipeline where it computes: whole, by components, by blocks, or by layers.

    If that breaks off midway, all of it is in main memory again.
    """
    try:
        if memory.offload == "model":
            pipe.enable_model_cpu_offload(device=device)
        elif memory.offload == "group":
            groups.attach(pipe, device)
        elif memory.offload == "sequential":
            pipe.enable_sequential_cpu_offload(device=device)
        else:
            pipe.to(device)
    except BaseException:
        _go_home(pipe)
        raise


def fetch_back(pipe: Any, memory: Memory) -> None:
    """Undo an offload, so that every weight is a real tensor on the CPU; `place` puts it there again.

    Layers can be added to a pipeline (a LoRA) only in this state.
    """
    if memory.offload != "none":
        _go_home(pipe)


def _go_home(pipe: Any) -> None:
    groups.detach(pipe)
    pipe.remove_all_hooks()
    pipe.to("cpu")


def settle(pipe: Any) -> None:
    """Send home what ``--lora-offload model`` or ``group`` has left on the device.

    Its hooks send a network home when the next one of the pipeline begins, and the last one when the pipeline
    ends. A network that was called by itself stays, and so does one that ran out of memory; the next one
    would come beside it. Blocks stay where a call broke off.
    """
    groups.go_home(pipe)
    if getattr(pipe, "_all_hooks", None):
        pipe.maybe_free_model_hooks()


def empty(modules: Iterable[Any]) -> None:
    """Take all weights of networks that are not used any more, whoever still holds the networks.

    The traceback of an error holds them for as long as the error is kept, which is to the end of the run.
    """
    import torch

    for module in modules:
        if isinstance(module, torch.nn.Module):
            for part in module.modules():
                vars(part).pop("_hf_hook", None)  # holds the weights of an offloaded layer
                groups.forget(part)
            for weight in module.parameters():
                with suppress(RuntimeError):  # of a kind that does not let itself be emptied
                    weight.data = weight.data.new_empty(0)
