"""Compile the blocks that a denoiser repeats, and run them compiled while images are made.

A FLUX compiles two blocks and not 57. Everything else, proofs above all, runs the same modules as they are
written, so that hooks and swaps of layers see no compiled code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lora_checks.core.errors import GenerationError, first_line
from lora_checks.core.records import Lora
from lora_checks.diffusion import apply
from lora_checks.diffusion.loader import weightless

BACKEND = "inductor"
# Graphs of one block: one for each width that it has in the denoiser and each shape of its input. torch's own
# limit of 8 is soon reached by a UNet, and it then goes on without a word and without compiling.
MOST_GRAPHS = 256
_SWAPPED = {"down", "up", "mid", "alpha"}  # parts of a layer that is a product of matrices and nothing else


def why_plain(loras: Iterable[Lora], folder: Path, offload: str, quantised: bool = False) -> str:
    """Return why a run of these LoRAs and companions is not compiled; "" if it is.

    It is decided for all of a run together, so that images with and without a LoRA are made in one way.
    """
    if offload not in ("auto", "none", "model"):
        return f"--lora-offload {offload} exchanges the weights of a block while it runs"
    if quantised:
        return "networks of this base are quantised, and their layers were never swapped into compiled code"
    for lora in loras:
        if layer := next((one for one in lora.layers if not _is_plain(one)), None):
            return f"{lora.path.name} has layers of kind {_kind(layer)}, and only plain LoRAs can be swapped"
    if not any(map(blocks, apply.components(weightless.pipeline(folder)).values())):
        return "the denoiser of this base has no blocks that it repeats"
    return ""


def _is_plain(layer: Any) -> bool:
    return layer.algorithm == "lora" and set(layer.parts) <= _SWAPPED


def _kind(layer: Any) -> str:
    return "LoRA with a bias" if layer.algorithm == "lora" else str(layer.algorithm)


def blocks(network: Any) -> list[Any]:
    """Return the blocks that a denoiser repeats: those that diffusers names, else its lists of modules."""
    names = getattr(network, "_repeated_blocks", None)
    if names is None:  # no network of diffusers
        return []
    if names:
        return [module for module in network.modules() if type(module).__name__ in names]
    return [block for listed in _lists(network) for block in _alike(listed)]


def _lists(module: Any) -> Iterator[Any]:
    """Yield the outermost lists of modules."""
    import torch

    for child in module.children():
        if isinstance(child, torch.nn.ModuleList):
            yield child
        else:
            yield from _lists(child)


def _alike(listed: Any) -> list[Any]:
    kinds = Counter(map(type, listed))
    return [block for block in listed if kinds[type(block)] > 1]


class Compiled:
    """The blocks of one loaded pipeline's denoisers, compiled when they are first called."""

    def __init__(self, pipe: Any) -> None:
        networks = apply.components(pipe)
        self._blocks = [block for name in apply.denoisers(pipe) for block in blocks(networks[name])]
        self._calls = []
        for block in self._blocks:
            # A graph for each shape: with sizes left open, an image's pixels would depend on those before it.
            block.compile(backend=BACKEND, dynamic=False)
            self._calls.append(block._compiled_call_impl)
            block._compiled_call_impl = None

    @contextmanager
    def on(self) -> Iterator[None]:
        """Run the blocks compiled. Raises `GenerationError` if they do not compile."""
        import torch._dynamo

        limit = "recompile_limit" if hasattr(torch._dynamo.config, "recompile_limit") else "cache_size_limit"
        for block, call in zip(self._blocks, self._calls, strict=True):
            block._compiled_call_impl = call
        try:
            with torch._dynamo.config.patch({limit: MOST_GRAPHS}):
                yield
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            raise GenerationError(
                f"--lora-compile: torch does not compile the denoiser: {first_line(error)}; run without it"
            ) from error
        finally:
            for block in self._blocks:
                block._compiled_call_impl = None
